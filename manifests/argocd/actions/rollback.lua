-- Takes the last promotion back.
local promoted = nil
for _, entry in ipairs(obj.status.history) do
  if promoted == nil and entry.outcome == "Promoted" then
    promoted = entry.run
  end
end
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/rollback"] = promoted
return obj
