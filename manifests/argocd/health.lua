-- The health of a ModelDeployment, as docs/gitops.md has it: phase by phase, and what is stale is Progressing.
local health_of = {
  Pending = "Progressing",
  Progressing = "Progressing",
  RollingBack = "Progressing",
  Paused = "Suspended",
  Healthy = "Healthy",
  RolledBack = "Degraded",
  Degraded = "Degraded",
  Suspended = "Suspended",
  Retired = "Suspended",
}

local status = obj.status
if status == nil or status.phase == nil then
  return { status = "Progressing", message = "waiting for the operator" }
end
if obj.metadata.generation ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "waiting for the operator to read the new spec" }
end

local holds = {}
for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" then
    holds[condition.type] = condition
  end
end
-- An invalid spec, or a refused write: what serves goes on serving, but nothing comes of waiting.
if holds.Stalled ~= nil and holds.Reconciling == nil then
  return { status = "Degraded", message = holds.Stalled.message or status.message }
end

return { status = health_of[status.phase] or "Unknown", message = status.message }
