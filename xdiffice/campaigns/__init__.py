"""Many shelves, epochs and parameter sets: one inversion each, on a cluster, into one Zarr store.

`runs` says what there is to do, `archive` keeps what was done, `work` does one run, and `conduct`
hands runs to the workers of a cluster.
"""
