"""The Lua scripts of the Redis store: each is one atomic change with its audit entry and its notification.

KEYS 1–3 and ARGV 1–3 are the same in every script that changes records: audit, updates, lease; id of the last audit
entry seen, new entry, its hash. Each script returns a list whose first element is a word: `done`, or why nothing was
changed. `policy_store.records.revision_rules` decides which revision comes next; the scripts only check that it rises.
"""

from __future__ import annotations

from event_schemas.units import HOUR_MS
from policy_store.backends.store import HISTORY_LIMIT, UPDATES_LIMIT
from policy_store.records.ledger_record import LEDGER_SLOT
from policy_store.records.revision_rules import MAX_REVISION, UNKNOWN_LEASE_MS

AUDIT_MOVED = b"audit moved"
RECORD_LIMIT = 16_000_000
DONE = b"done"

PRELUDE = f"""
local function audit_moved()
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  local id = ''
  if #last > 0 then id = last[1][1] end
  return id ~= ARGV[1]
end
local function audited()
  if audit_moved() then return false end
  redis.call('XADD', KEYS[1], '*', 'entry', ARGV[2], 'hash', ARGV[3])
  return true
end
local function failed(answer)
  return type(answer) == 'table' and answer.err ~= nil
end
local function notify(slot, value)
  local function add()
    return redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', {UPDATES_LIMIT}, '*', 'slot', slot, 'value', value)
  end
  if failed(add()) then
    redis.pcall('DEL', KEYS[2])
    add()
  end
  return {{'done'}}
end
local function decoded(text)
  if text and #text > {RECORD_LIMIT} then return {{}} end
  local readable, content = pcall(cjson.decode, text or '')
  return readable and type(content) == 'table' and content or {{}}
end
"""
"""`audited` appends the entry before anything else is written, or returns false if another writer was first. `notify`
starts a new stream if the old one accepts no more entries, because notifications are only hints."""

# The audit is also passed as updates and lease, so that a node's Redis user needs no other key.
APPEND_AUDIT = f"""{PRELUDE}
if not audited() then return {{'audit moved'}} end
return {{'done'}}
"""

# The fencing token is empty if the writer holds no lease.
LEASE_LOST = """
local function lease_lost(token)
  return token ~= '' and redis.call('HGET', KEYS[3], 'token') ~= token
end
"""

# KEYS: 4 uploaded hash, 5 checkpoint hash, 6 index. ARGV: 4 token, 5 version, 6 manifest, 7 signature.
# The index has the order in which the checkpoints came: each scores 1 more than the newest. Version 0.1.0 used the time
# of the writer's clock as the score; new scores continue from there.
PUT_CHECKPOINT = f"""{PRELUDE}{LEASE_LOST}
if lease_lost(ARGV[4]) then redis.call('DEL', KEYS[4]) return {{'lease lost'}} end
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('DEL', KEYS[4])
  local held = redis.call('HMGET', KEYS[5], 'manifest', 'signature')
  if held[1] == ARGV[6] and held[2] == ARGV[7] then return {{'done'}} end
  return {{'version taken'}}
end
if redis.call('EXISTS', KEYS[4]) == 0 then return {{'upload gone'}} end
if not audited() then return {{'audit moved'}} end
redis.call('RENAME', KEYS[4], KEYS[5])
redis.call('PERSIST', KEYS[5])
local newest = redis.call('ZREVRANGE', KEYS[6], 0, 0, 'WITHSCORES')[2]
redis.call('ZADD', KEYS[6], string.format('%.0f', (tonumber(newest) or 0) + 1), ARGV[5])
return notify('checkpoint', ARGV[5])
"""

# KEYS: 4 slot, 5 history, 6 checkpoint hash, 7 proposals.
# ARGV: 4 record, 5 signature, 6 key id, 7 revision, 8 parent revision or '', 9 token or '', 10 version or '',
#       11 slot name, 12 history item, 13 proposal id or '', 14 decided proposal or ''.
PUBLISH = f"""{PRELUDE}{LEASE_LOST}
if lease_lost(ARGV[9]) then return {{'lease lost'}} end
local current = ''
local held = redis.call('HGET', KEYS[4], 'record')
if held then
  local revision = decoded(held).revision
  if type(revision) ~= 'number' or not (revision >= 1 and revision <= {MAX_REVISION}) then
    return {{'malformed'}}
  end
  current = string.format('%.0f', revision)
end
if current ~= ARGV[8] or (current ~= '' and tonumber(ARGV[7]) <= tonumber(current)) then
  return {{'conflict', current}}
end
if ARGV[10] ~= '' and redis.call('EXISTS', KEYS[6]) == 0 then return {{'unknown checkpoint'}} end
if ARGV[13] ~= '' then
  local proposal = redis.call('HGET', KEYS[7], ARGV[13])
  if not proposal or decoded(proposal).status ~= 'open' then return {{'unknown proposal'}} end
end
if not audited() then return {{'audit moved'}} end
redis.call('HSET', KEYS[4], 'record', ARGV[4], 'signature', ARGV[5], 'key_id', ARGV[6])
redis.call('LPUSH', KEYS[5], ARGV[12])
if ARGV[11] ~= '{LEDGER_SLOT}' then redis.call('LTRIM', KEYS[5], 0, {HISTORY_LIMIT - 1}) end
if ARGV[13] ~= '' then
  redis.call('HSET', KEYS[7], ARGV[13], ARGV[14])
end
return notify(ARGV[11], ARGV[7])
"""

# KEYS: 4 proposals. ARGV: 4 proposal id, 5 proposal, 6 status it must have now: 'open', or '' for a new one.
KEEP_PROPOSAL = f"""{PRELUDE}
local held = redis.call('HGET', KEYS[4], ARGV[4])
local status = ''
if held then status = decoded(held).status end
if status ~= ARGV[6] then return {{'proposal status'}} end
if not audited() then return {{'audit moved'}} end
redis.call('HSET', KEYS[4], ARGV[4], ARGV[5])
return notify('proposal', ARGV[4])
"""

# KEYS: 1 lease, 2 fence. ARGV: 1 owner, 2 ttl in ms, 3 the server's time in ms.
# A lease of the wrong type, without an expiry, or with more time left than its ttl, does not count as held.
ACQUIRE_LEASE = f"""
local function is(key, kind)
  return redis.call('TYPE', key)['ok'] == kind
end
if is(KEYS[1], 'hash') then
  local held = redis.call('HMGET', KEYS[1], 'owner', 'ttl')
  local left, ttl = redis.call('PTTL', KEYS[1]), tonumber(held[2]) or {UNKNOWN_LEASE_MS}
  if left >= 0 and left <= ttl then return {{'held', held[1] or '', left}} end
end
local last = is(KEYS[2], 'string') and tonumber(redis.call('GET', KEYS[2])) or 0
local now = tonumber(ARGV[3])
local token = math.max(last + 1, now)
if not (token <= now + {HOUR_MS}) then token = now end
local text = string.format('%.0f', token)
redis.call('SET', KEYS[2], text)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', text, 'ttl', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {{'done', text}}
"""

# KEYS: 1 lease. ARGV: 1 token, 2 ttl in ms.
RENEW_LEASE = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return {'lease lost'} end
redis.call('HSET', KEYS[1], 'ttl', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'done'}
"""

# KEYS: 1 lease. ARGV: 1 token.
RELEASE_LEASE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return {'done'}
"""

# KEYS: 1 an unused name. The id that a new stream gives its first entry is the server's time.
TIME_OF_AN_ENTRY = """
redis.call('DEL', KEYS[1])
local id = redis.call('XADD', KEYS[1], '*', 'time', '')
redis.call('DEL', KEYS[1])
return {'done', id}
"""

# KEYS: 1 index of nodes, 2… heartbeats of the nodes named by ARGV 1….
FORGET_NODES = """
for at, node in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[at + 1]) == 0 then redis.call('ZREM', KEYS[1], node) end
end
return {'done'}
"""
