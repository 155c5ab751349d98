//! Owns the kernel's figures for this process. Reads `/proc` at each scrape and stores nothing.

use procfs::{WithCurrentSystemInfo, process::Process};

use crate::meters::{Kind, Page};

/// Memory, CPU time, file descriptors, threads and start time, where the kernel provides them.
pub(super) fn write(page: &mut Page) {
    let Ok((process, stat)) = Process::myself().and_then(|process| process.stat().map(|stat| (process, stat))) else {
        return;
    };
    // Lossless: ticks and seconds stay far below 2^52.
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    page.family(Kind::Counter, "grantd_process_cpu_seconds_total", "User and system CPU time, in seconds")
        .sample(&[], seconds(stat.utime + stat.stime));
    page.family(
        Kind::Gauge,
        "grantd_process_resident_memory_bytes",
        "Resident memory, including mapped pages of the database",
    )
    .sample(&[], stat.rss_bytes().get());
    page.family(Kind::Gauge, "grantd_process_virtual_memory_bytes", "Virtual memory").sample(&[], stat.vsize);
    page.family(Kind::Gauge, "grantd_process_threads", "Threads").sample(&[], stat.num_threads);
    if let Ok(open) = process.fd_count() {
        page.family(Kind::Gauge, "grantd_process_open_fds", "Open file descriptors").sample(&[], open);
    }
    if let Ok((most, _)) = rlimit::Resource::NOFILE.get() {
        page.family(Kind::Gauge, "grantd_process_max_fds", "Maximum number of open file descriptors").sample(&[], most);
    }
    if let Ok(boot) = procfs::boot_time_secs() {
        page.family(
            Kind::Gauge,
            "grantd_process_start_time_seconds",
            "Start time of the process, in seconds since 1970",
        )
        .sample(&[], boot as f64 + seconds(stat.starttime));
    }
}
