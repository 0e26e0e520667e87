int sluice_but_no_plugin(void);
int sluice_but_no_plugin(void) { return 0; }
