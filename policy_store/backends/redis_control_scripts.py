"""The Lua scripts for kills, resumes and re-bases: the changes that must work on a store in any state.

KEYS 1–3 and ARGV 1–3 are as in `policy_store.backends.redis_scripts`.
"""

from __future__ import annotations

from policy_store.backends.redis_scripts import PRELUDE
from policy_store.backends.store import HISTORY_LIMIT

MUST_FOLLOW = "must follow"
ANYWAY = "anyway"
UNAUDITED = b"unaudited"
MOVED = b"moved"

# At its memory limit Redis refuses a script whose first write needs memory; PERSIST does not.
DESPITE_FULL_MEMORY = """
redis.pcall('PERSIST', KEYS[1])
"""

# The entry of a kill that was published without one.
APPEND_AUDIT = f"""{PRELUDE}{DESPITE_FULL_MEMORY}
if not audited() then return {{'audit moved'}} end
return {{'done'}}
"""

# KEYS: 4 control, 5 its history, 6 kills, 7 resumes.
# ARGV: 4 'must follow' the last audit entry or 'anyway', 5 record, 6 signature, 7 key id, 8 revision, 9 item,
#       10 'kill' or 'resume', 11… the hash of the kill, or those that the resume names.
# Nothing in the store may make a kill fail: a key with the wrong type is renamed to `<key>:set-aside`, and so is an
# audit that accepts no more entries. A record that another client wrote into the slot is kept when it is replaced
# there. PERSIST removes a key's expiry, so that no kill is lost to one.
PUBLISH_CONTROL = f"""{PRELUDE}{DESPITE_FULL_MEMORY}
local function put_aside(key)
  redis.call('RENAME', key, key .. ':set-aside')
end
local function is(key, kind)
  local found = redis.call('TYPE', key)['ok']
  return found == kind or found == 'none'
end
local follows = not is(KEYS[1], 'stream') or not audit_moved()
if not follows and ARGV[4] ~= '{ANYWAY}' then return {{'audit moved'}} end
local types = {{[KEYS[1]] = 'stream', [KEYS[4]] = 'hash', [KEYS[5]] = 'list', [KEYS[6]] = 'hash', [KEYS[7]] = 'hash'}}
for key, kind in pairs(types) do
  redis.pcall('PERSIST', key)
  if not is(key, kind) then put_aside(key) end
end

local held = redis.call('HMGET', KEYS[4], 'record', 'signature', 'key_id')
local newest = decoded(redis.call('LINDEX', KEYS[5], 0))
if held[1] and held[2] and held[3] and newest.record ~= held[1] then
  local content = decoded(held[1])
  local item = cjson.encode({{record = held[1], signature = held[2], key_id = held[3]}})
  if content.killed == true then
    redis.call('HSETNX', KEYS[6], 'slot:' .. redis.sha1hex(held[1]), item)
  else
    for _, name in ipairs(type(content.resumes) == 'table' and content.resumes or {{}}) do
      if type(name) == 'string' then redis.call('HSETNX', KEYS[7], name, item) end
    end
  end
end

local target = ARGV[10] == 'kill' and KEYS[6] or KEYS[7]
for at = 11, #ARGV do redis.call('HSET', target, ARGV[at], ARGV[9]) end
redis.call('HSET', KEYS[4], 'record', ARGV[5], 'signature', ARGV[6], 'key_id', ARGV[7])
redis.call('LPUSH', KEYS[5], ARGV[9])
redis.call('LTRIM', KEYS[5], 0, {HISTORY_LIMIT - 1})
notify('control', ARGV[8])
if not follows then return {{'unaudited'}} end
if failed(redis.pcall('XADD', KEYS[1], '*', 'entry', ARGV[2], 'hash', ARGV[3])) then
  put_aside(KEYS[1])
  redis.call('XADD', KEYS[1], '*', 'entry', ARGV[2], 'hash', ARGV[3])
end
return {{'done'}}
"""

# KEYS: 4… slot and history of each slot touched, the re-bases' own first.
# ARGV: 4 record, 5 signature, 6 key id, 7 revision, 8 item, then for each slot: its name, the bytes of `record` found
#       in it, record, signature and key id to leave ('' each: empty it), the number of voided records, and these.
PUBLISH_REBASE = f"""{PRELUDE}{DESPITE_FULL_MEMORY}
local function each_slot(act)
  local at, key = 9, 4
  while at <= #ARGV do
    local count = tonumber(ARGV[at + 5])
    local voided = {{}}
    for i = 1, count do voided[ARGV[at + 5 + i]] = true end
    local stop = act(KEYS[key], KEYS[key + 1], at, voided)
    if stop then return stop end
    at, key = at + 6 + count, key + 2
  end
end
local function slot_bytes(slot)
  local found = redis.pcall('HGET', slot, 'record')
  return type(found) == 'string' and found or ''
end
local moved = each_slot(function(slot, _, at)
  if slot_bytes(slot) ~= ARGV[at + 1] then return {{'moved', ARGV[at]}} end
end)
if moved then return moved end
if not audited() then return {{'audit moved'}} end
each_slot(function(slot, history, at, voided)
  redis.call('DEL', slot)
  if ARGV[at + 2] ~= '' then
    redis.call('HSET', slot, 'record', ARGV[at + 2], 'signature', ARGV[at + 3], 'key_id', ARGV[at + 4])
  end
  local items = redis.pcall('LRANGE', history, 0, -1)
  redis.call('DEL', history)
  for _, item in ipairs(failed(items) and {{}} or items) do
    if not voided[decoded(item).record or ''] then redis.call('RPUSH', history, item) end
  end
end)
redis.call('HSET', KEYS[4], 'record', ARGV[4], 'signature', ARGV[5], 'key_id', ARGV[6])
redis.call('LPUSH', KEYS[5], ARGV[8])
redis.call('LTRIM', KEYS[5], 0, {HISTORY_LIMIT - 1})
return notify('rebase', ARGV[7])
"""
