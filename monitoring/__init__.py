"""What every stage measures about itself.

Reads nothing.
Writes Prometheus metrics named `trimtab_<stage>_…`, in base units, with bounded label sets.
Guarantees that a metric is defined once and exported by the stage that owns it.
Fails with SettingError when `PROMETHEUS_MULTIPROC_DIR` names a directory that cannot be written.
"""
