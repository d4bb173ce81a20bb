"""The last stage: fields corrected until the velocity that they cause is the observed one."""
