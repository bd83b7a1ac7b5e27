-- Says no in the name of Argo CD, which does not tell who pressed the button; its own Event does.
local run = obj.status.run
local step = run.plan[run.step + 1]
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/deny"] = run.id .. "/" .. step.approval .. " by argocd: denied in Argo CD"
return obj
