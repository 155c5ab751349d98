-- Counts within windows of time; window.rs does the same in one node's memory.
-- KEYS[1]: a hash with the end and count of each window. ARGV[1]: peek, count, release or forget; then for each window its
-- length in seconds, 1 where it begins with the clock, and the most it takes or -1.
local now = tonumber(redis.call('TIME')[1])
local ask = ARGV[1]
if ask == 'forget' then
    redis.call('DEL', KEYS[1])
end
local kept = redis.call('HMGET', KEYS[1], 'end1', 'count1', 'end2', 'count2')
local windows, full, last = {}, false, now
for at = 1, (#ARGV - 1) / 3 do
    local seconds, aligned, most = tonumber(ARGV[3 * at - 1]), ARGV[3 * at] == '1', tonumber(ARGV[3 * at + 1])
    local ends, count = tonumber(kept[2 * at - 1] or 0), tonumber(kept[2 * at] or 0)
    if ends <= now or ends > now + seconds then
        ends = aligned and (math.floor(now / seconds) + 1) * seconds or now + seconds
        count = 0
    end
    local over = most >= 0 and count >= most
    full = full or over
    last = math.max(last, ends)
    windows[at] = { ends, count, over and 1 or 0 }
end
local step = 0
if ask == 'count' and not full then
    step = 1
elseif ask == 'release' and kept[2] then
    step = -1
end
local answer = { now }
for at, window in ipairs(windows) do
    window[2] = math.max(0, window[2] + step)
    if step ~= 0 then
        redis.call('HSET', KEYS[1], 'end' .. at, string.format('%.0f', window[1]), 'count' .. at, window[2])
    end
    for _, number in ipairs(window) do
        table.insert(answer, number)
    end
end
if step ~= 0 then
    redis.call('EXPIREAT', KEYS[1], last + 1)
end
return answer
