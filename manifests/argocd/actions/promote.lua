-- Ends exactly the step that the run is at. People count steps from 1.
local run = obj.status.run
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/promote"] = run.id .. "/" .. (run.step + 1)
return obj
