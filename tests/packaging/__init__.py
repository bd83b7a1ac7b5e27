"""What is shipped beside the code: the manifests made from the chart, and the checks that they must pass."""
