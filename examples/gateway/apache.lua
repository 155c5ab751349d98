-- Lets grantd check a request, for Apache's mod_lua; see apache.conf. If anything fails here, the request is refused.

local http = require "socket.http"
local ltn12 = require "ltn12"

local VERIFY = "http://127.0.0.1:8080/gateway/verify/example"
http.TIMEOUT = 5

-- Headers sent to grantd. If a profile accepts credentials in another header or a cookie, add it.
local ASKED = {
    "Authorization", "X-API-Key", "API-Key", "X-Request-ID", "User-Agent",
    -- If one of these names another method, grantd refuses the request.
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
}
-- Headers that identify the caller to the API. Each is set or, if grantd does not set it, removed.
local IDENTITY = {
    "X-Auth-Subject", "X-Auth-User", "X-Auth-Client", "X-Auth-Key-Id", "X-Auth-Project", "X-Auth-Environment",
    "X-Auth-Plan", "X-Auth-Scopes", "X-Auth-Credential",
}
-- Headers for the caller, whether the request is allowed or not. If a profile has others, add them.
local TOLD = {
    "X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy",
    "Retry-After", "WWW-Authenticate",
}

local function answer(r, status, body, media_type)
    r.status = status
    r.content_type = media_type or "application/json"
    r:puts(body)
    return apache2.DONE
end

-- Removes headers that only grantd and this proxy may set, in every spelling: many programs treat "_" and "-" alike.
-- A client must not name these in Connection either, which would remove them again later.
local function clear(r)
    local unwanted = {}
    for name, value in pairs(r:headers_in_table()) do
        local plain = name:lower():gsub("_", "-")
        if plain:find("^x%-auth%-") or plain:find("^x%-forwarded%-")
            or plain == "connection" and value:lower():find("x-", 1, true) then
            unwanted[#unwanted + 1] = name
        end
    end
    for _, name in ipairs(unwanted) do
        r.headers_in[name] = name:lower() == "connection" and "close" or nil
    end
end

function check(r)
    local asked = {
        ["X-Forwarded-Method"] = r.method,
        ["X-Forwarded-Uri"] = r.unparsed_uri,
        ["X-Forwarded-For"] = r.useragent_ip,
        ["X-Forwarded-Host"] = r.headers_in["Host"],
    }
    for _, name in ipairs(ASKED) do
        asked[name] = r.headers_in[name]
    end
    clear(r)
    
    local body = {}
    local reached, status, told = http.request {
        url = VERIFY, headers = asked, sink = ltn12.sink.table(body), redirect = false,
    }
    if not reached or status >= 500 then
        r.err_headers_out["Retry-After"] = "1"
        return answer(r, 503, '{"error":"temporarily_unavailable","message":"Try again in a moment."}')
    end
    for _, name in ipairs(TOLD) do
        r.err_headers_out[name] = told[name:lower()]
    end
    if status ~= 200 then
        return answer(r, status, table.concat(body), told["content-type"])
    end
    for _, name in ipairs(IDENTITY) do
        local value = told[name:lower()]
        r.headers_in[name] = value ~= "" and value or nil
    end
    r.headers_in["X-Request-ID"] = told["x-request-id"]
    return apache2.DECLINED
end
