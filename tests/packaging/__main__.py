"""Write what is made from the chart: `make manifests`."""

from tests.packaging import manifests, values

manifests.write(manifests.MANIFESTS)
values.README.write_text(values.readme(), encoding="utf-8")
