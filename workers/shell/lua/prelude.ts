/**
 * What Lua files find: the globals `shell`, `plugin`, `task`, `source` and `source_if_exists` (flux-shell-initrc(5)), and
 * Lua's library without what would reach out of the shell. `...` is the table of the host's functions.
 */
export const prelude = String.raw`
local host = ...
local getinfo, traceback, compile = debug.getinfo, debug.traceback, load
local handlers = {}

-- Called last by what files call, so that level 2 is the line of the file.
local function returned (ok, ...)
  if ok then return ... end
  error ((...), 2)
end

local function from_host (name)
  local call = host[name]
  return function (...) return returned (call (...)) end
end

-- ---- files

local function run (path, text)
  local chunk, message = compile (text, "@" .. path, "t")
  if not chunk then error (message, 0) end
  chunk ()
end

local function sourcing (name)
  local find = host[name]
  return function (pattern)
    local ok, files = find (pattern)
    if not ok then error (files, 2) end
    for _, file in ipairs (files) do run (file.path, file.text) end
  end
end

source = sourcing "sources"
source_if_exists = sourcing "existingSources"

-- ---- shell

local computed = {
  rankinfo = from_host "rankInfo",
  verbose = from_host "isVerbose",
  info = function ()
    local ok, info = host.info ()
    if ok then info.jobid = tonumber (info.jobid) end
    return returned (ok, info)
  end,
}
local fixed = {
  get_rankinfo = from_host "rankInfo",
  getenv = from_host "getEnv",
  setenv = from_host "setEnv",
  unsetenv = from_host "unsetEnv",
}

shell = setmetatable ({}, {
  __index = function (_, key)
    local compute = computed[key]
    if compute then return compute () end
    return fixed[key]
  end,
  __newindex = function (self, key, value)
    if key == "verbose" then return returned (host.setVerbose (value)) end
    if computed[key] or fixed[key] then error ("attempt to set read-only field shell." .. key, 2) end
    rawset (self, key, value)
  end,
})

shell.options = setmetatable ({}, {
  __index = function (_, key) return returned (host.option (key)) end,
  __newindex = function (_, key, value) return returned (host.setOption (key, value)) end,
})

local function logging (level)
  return function (message) return returned (host.log (level, tostring (message))) end
end

shell.log = logging "notice"
shell.debug = logging "debug"
shell.log_error = logging "error"
function shell.die (message) return returned (host.die (tostring (message))) end

shell.prepend_path = from_host "prependPath"

function shell.env_strip (...)
  for name in pairs (shell.getenv ()) do
    for _, pattern in ipairs { ... } do
      if name:find (pattern) then shell.unsetenv (name) end
    end
  end
end

function shell.getopt_with_version (name)
  local value = name and shell.options[name]
  if type (value) ~= "string" then return value end
  local version = value:match "@(.+)$"
  return value:match "^[^@]+", version
end

local function rc_folders ()
  return (shell.rcpath .. "/lua.d:" .. (shell.getenv "FLUX_SHELL_RC_PATH" or "")):gmatch "[^:]+"
end

function shell.source_rcpath (pattern)
  for folder in rc_folders () do source (folder .. "/" .. pattern) end
end

function shell.source_rcpath_option (option)
  local name, version = shell.getopt_with_version (option)
  if type (name) ~= "string" or name == "none" then return end
  for folder in rc_folders () do
    local path = folder .. "/" .. option .. "/" .. name
    source_if_exists (path .. ".lua")
    if version then source_if_exists (path .. "@" .. version .. ".lua") end
  end
end

coprocess = {}
function coprocess.define (spec)
  if type (spec) ~= "table" or not spec.name then error ("coprocess.define: a name is required", 2) end
  if shell.options[spec.name] ~= nil then
    error ("coprocess.define: " .. spec.name .. ": there are no coprocesses", 2)
  end
end

-- ---- task

local task_functions = {
  getenv = from_host "getTaskEnv",
  setenv = from_host "setTaskEnv",
  unsetenv = from_host "unsetTaskEnv",
}

task = setmetatable ({}, {
  __index = function (_, key)
    local ok, info = host.taskInfo ()
    if ok and key ~= "info" then info = task_functions[key] end
    return returned (ok, info)
  end,
})

-- ---- plugin

local function register (spec)
  if type (spec) ~= "table" then error ("plugin.register: a table is required", 2) end
  if type (spec.handlers) ~= "table" then error ("plugin.register: required handlers table missing", 2) end
  local entries = {}
  for _, handler in ipairs (spec.handlers) do
    if type (handler) ~= "table" or type (handler.topic) ~= "string" then
      error ("plugin.register: missing or invalid 'topic' in handler entry", 2)
    end
    if type (handler.fn) ~= "function" then
      error ("plugin.register: missing or invalid 'fn' in handler entry", 2)
    end
    handlers[#handlers + 1] = handler.fn
    entries[#entries + 1] = { topic = handler.topic, id = #handlers }
  end
  if #entries == 0 then error ("plugin.register: handlers table has no entries", 2) end
  local name = spec.name
  if name == nil then name = getinfo (2, "S").source:sub (2) end
  return returned (host.register (tostring (name), entries))
end

local function load_plugin (spec)
  local file, conf = spec, nil
  if type (spec) == "table" then file, conf = spec.file, spec.conf end
  if type (file) ~= "string" then error ("plugin.load: invalid argument", 2) end
  local caller = getinfo (2, "Sl")
  return returned (host.loadPlugin (file, conf, caller.short_src .. ":" .. caller.currentline))
end

local plugin_functions = { register = register, load = load_plugin }

plugin = setmetatable ({}, {
  __index = function (_, key)
    if key == "searchpath" then return returned (host.searchPath ()) end
    return plugin_functions[key]
  end,
  __newindex = function (_, key, value)
    if key == "searchpath" then return returned (host.setSearchPath (value)) end
    error ("attempt to set read-only field plugin." .. tostring (key), 2)
  end,
})

-- ---- Lua's library

local function say (...)
  local words = {}
  for i = 1, select ("#", ...) do words[i] = tostring ((select (i, ...))) end
  return words
end

function print (...)
  return returned (host.log ("notice", table.concat (say (...), "\t")))
end

local function write (...)
  return returned (host.log ("notice", (table.concat (say (...)):gsub ("\n$", ""))))
end
local stream = { write = function (_, ...) return write (...) end }
io = { write = write, stdout = stream, stderr = stream }

local function no_exit () error ("os.exit: a shell is not a process", 2) end
os = {
  clock = os.clock, date = os.date, difftime = os.difftime, time = os.time,
  getenv = from_host "getEnv", exit = no_exit,
}
-- The hook that keeps time is not theirs.
debug = { getinfo = getinfo, traceback = traceback }

dofile, loadfile = nil, nil
-- Compiled chunks are not verified by Lua.
function load (chunk, name, _, ...) return compile (chunk, name, "t", ...) end

-- No hook is called in a finalizer, so nothing would end a loop there.
local set_metatable = setmetatable
function setmetatable (object, metatable)
  if type (metatable) == "table" and rawget (metatable, "__gc") ~= nil then
    error ("setmetatable: there are no finalizers (__gc)", 2)
  end
  return set_metatable (object, metatable)
end

package.loaded.io, package.loaded.os, package.loaded.debug = io, os, debug
package.loaded["flux.shell"] = true
-- Files of modules would be looked for in the memory of WebAssembly.
package.searchers = { package.searchers[1] }
package.loadlib, package.searchpath, package.path, package.cpath = nil, nil, "", ""

-- ---- what the host calls

local actions = {}

function actions.file (path, folder)
  rawset (shell, "rcpath", folder)
  local ok, text = host.source (path)
  if not ok then error (text, 0) end
  run (path, text)
end

function actions.handler (id, topic)
  local handler = handlers[id]
  local function judge (...)
    if select ("#", ...) == 0 or (...) then return end
    local where = getinfo (handler, "S")
    error (where.short_src .. ":" .. where.linedefined .. ": the handler of " .. topic .. " returned "
           .. tostring ((...)), 0)
  end
  judge (handler (topic))
end

local function describe (problem)
  if type (problem) == "string" then return problem end
  return tostring (problem)
end

return function (action, ...)
  return xpcall (actions[action], describe, ...)
end
`;
