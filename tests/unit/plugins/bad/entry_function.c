/* An entry that is a function. */
__attribute__((visibility("default"))) void sluice_plugin_v0(void);
void sluice_plugin_v0(void) {}
