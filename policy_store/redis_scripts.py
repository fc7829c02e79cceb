"""The Lua scripts of the Redis store: each is one atomic change with its audit entry and its notification.

KEYS 1–3 and ARGV 1–3 are the same everywhere: audit, updates, lease; last audit hash seen, new entry, new hash.
Each script answers with a list whose first element is a word: `done`, or why nothing was changed.
"""

from __future__ import annotations

from policy_store.store import HISTORY_LIMIT, UPDATES_LIMIT

AUDIT_MOVED = b"audit moved"
DONE = b"done"

_PRELUDE = f"""
local function audit_moved()
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  local hash = ''
  if #last > 0 then
    local fields = last[1][2]
    for i = 1, #fields, 2 do
      if fields[i] == 'hash' then hash = fields[i + 1] end
    end
  end
  return hash ~= ARGV[1]
end
local function lease_lost(token)
  return token ~= '' and redis.call('HGET', KEYS[3], 'token') ~= token
end
local function record(slot, value)
  redis.call('XADD', KEYS[1], '*', 'entry', ARGV[2], 'hash', ARGV[3])
  if slot ~= '' then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', {UPDATES_LIMIT}, '*', 'slot', slot, 'value', value)
  end
  return {{'done'}}
end
"""

# The audit stands in for updates and lease, so that a node's Redis user needs no other key.
APPEND_AUDIT = f"""{_PRELUDE}
if audit_moved() then return {{'audit moved'}} end
return record('', '')
"""

# KEYS: 4 uploaded hash, 5 checkpoint hash, 6 index. ARGV: 4 token, 5 version, 6 created_at, 7 manifest, 8 signature.
PUT_CHECKPOINT = f"""{_PRELUDE}
if lease_lost(ARGV[4]) then redis.call('DEL', KEYS[4]) return {{'lease lost'}} end
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('DEL', KEYS[4])
  local held = redis.call('HMGET', KEYS[5], 'manifest', 'signature')
  if held[1] == ARGV[7] and held[2] == ARGV[8] then return {{'done'}} end
  return {{'version taken'}}
end
if redis.call('EXISTS', KEYS[4]) == 0 then return {{'upload gone'}} end
if audit_moved() then return {{'audit moved'}} end
redis.call('RENAME', KEYS[4], KEYS[5])
redis.call('PERSIST', KEYS[5])
redis.call('ZADD', KEYS[6], ARGV[6], ARGV[5])
return record('checkpoint', ARGV[5])
"""

# KEYS: 4 slot, 5 history, 6 checkpoint hash, 7 proposals.
# ARGV: 4 record, 5 signature, 6 key id, 7 revision, 8 parent revision or '', 9 token or '', 10 version or '',
#       11 slot name, 12 history item, 13 proposal id or '', 14 decided proposal or ''.
PUBLISH = f"""{_PRELUDE}
if lease_lost(ARGV[9]) then return {{'lease lost'}} end
local current = ''
local held = redis.call('HGET', KEYS[4], 'record')
if held then
  local readable, content = pcall(cjson.decode, held)
  if not readable or type(content) ~= 'table' or type(content.revision) ~= 'number' then
    return {{'malformed'}}
  end
  current = string.format('%.0f', content.revision)
end
if current ~= ARGV[8] or (current ~= '' and tonumber(ARGV[7]) <= tonumber(current)) then
  return {{'conflict', current}}
end
if ARGV[10] ~= '' and redis.call('EXISTS', KEYS[6]) == 0 then return {{'unknown checkpoint'}} end
if ARGV[13] ~= '' then
  local proposal = redis.call('HGET', KEYS[7], ARGV[13])
  if not proposal or cjson.decode(proposal).status ~= 'open' then return {{'unknown proposal'}} end
end
if audit_moved() then return {{'audit moved'}} end
redis.call('HSET', KEYS[4], 'record', ARGV[4], 'signature', ARGV[5], 'key_id', ARGV[6])
redis.call('LPUSH', KEYS[5], ARGV[12])
redis.call('LTRIM', KEYS[5], 0, {HISTORY_LIMIT - 1})
if ARGV[13] ~= '' then
  redis.call('HSET', KEYS[7], ARGV[13], ARGV[14])
end
return record(ARGV[11], ARGV[7])
"""

# KEYS: 4 proposals. ARGV: 4 proposal id, 5 proposal, 6 status it must have now: 'open', or '' for a new one.
KEEP_PROPOSAL = f"""{_PRELUDE}
local held = redis.call('HGET', KEYS[4], ARGV[4])
local status = ''
if held then status = cjson.decode(held).status end
if status ~= ARGV[6] then return {{'proposal status'}} end
if audit_moved() then return {{'audit moved'}} end
redis.call('HSET', KEYS[4], ARGV[4], ARGV[5])
return record('proposal', ARGV[4])
"""

# KEYS: 1 lease, 2 fence. ARGV: 1 owner, 2 ttl in ms, 3 now in ms.
# The token also follows the clock, so that it grows even over a store restored from old data.
ACQUIRE_LEASE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'held', redis.call('HGET', KEYS[1], 'owner'), redis.call('PTTL', KEYS[1])}
end
local token = tonumber(redis.call('GET', KEYS[2]) or '0') + 1
if tonumber(ARGV[3]) > token then token = tonumber(ARGV[3]) end
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', text)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'done', text}
"""

# KEYS: 1 lease. ARGV: 1 token, 2 ttl in ms.
RENEW_LEASE = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return {'lease lost'} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'done'}
"""

# KEYS: 1 lease. ARGV: 1 token.
RELEASE_LEASE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'done'}
"""
