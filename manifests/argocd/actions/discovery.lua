-- Which commands make sense now. What cannot work is shown, but disabled.
local status = obj.status or {}
local run, stable = status.run, status.stable
local paused = obj.spec.paused == true
local away = obj.spec.state == "Suspended" or obj.spec.state == "Retired"

local under_way = run ~= nil and stable ~= nil and run.stage ~= "RollingBack"
local observing = under_way and run.stage == "Observing"
local step = observing and (run.plan or {})[(run.step or 0) + 1] or nil

-- Argo CD does not say who presses the button: a step that names its approvers has to name "argocd" to take its word.
local function may_speak()
  if step == nil or step.approval == nil then
    return false
  end
  for _, given in ipairs(run.approvals or {}) do
    if given.name == step.approval then
      return false
    end
  end
  if step.approvers == nil then
    return true
  end
  for _, approver in ipairs(step.approvers) do
    if approver == "argocd" then
      return true
    end
  end
  return false
end

-- The last promotion can be taken back if it made what serves, and if something else was promoted before it.
local function has_former()
  local last = nil
  for _, entry in ipairs(status.history or {}) do
    if entry.outcome == "Promoted" then
      if last == nil then
        last = entry
      elseif entry.revision ~= last.revision then
        return stable ~= nil and last.revision == stable.revision
      end
    end
  end
  return false
end

local word = may_speak()
local works = {
  ["promote"] = step ~= nil and step.approval == nil and not paused,
  ["promote-full"] = under_way and run.full ~= true and not paused,
  ["abort"] = under_way,
  ["retry"] = run == nil and status.phase == "RolledBack" and status.refused ~= nil and not away,
  ["rollback"] = run == nil and not away and has_former(),
  ["approve"] = word,
  ["deny"] = word,
  ["restart"] = stable ~= nil and not away,
  ["pause"] = not paused and not away,
  ["resume"] = paused,
}
local shown = {
  ["promote"] = { "Promote this step", "fa fa-step-forward" },
  ["promote-full"] = { "Promote fully", "fa fa-fast-forward" },
  ["abort"] = { "Abort the run", "fa fa-stop" },
  ["retry"] = { "Retry the version", "fa fa-redo" },
  ["rollback"] = { "Roll back the promotion", "fa fa-undo" },
  ["approve"] = { "Approve", "fa fa-check" },
  ["deny"] = { "Deny", "fa fa-ban" },
  ["restart"] = { "Restart pods", "fa fa-sync" },
  ["pause"] = { "Pause", "fa fa-pause" },
  ["resume"] = { "Resume", "fa fa-play" },
}

local actions = {}
for name, words in pairs(shown) do
  actions[name] = { disabled = not works[name], displayName = words[1], iconClass = words[2] }
end
return actions
