# sluice_plugin(NAME SOURCE...): builds NAME.so as a Sluice plugin: one export, no undefined symbols, the same
# arithmetic on every machine.
set(SLUICE_PLUGIN_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/exports.map)

function(sluice_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE Sluice::Plugin)
  target_compile_features(${name} PRIVATE c_std_11 cxx_std_17)
  target_compile_options(${name} PRIVATE
    -ffp-contract=off $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>)
  # Sanitizers leave symbols to the program that loads the plugin.
  if(NOT SLUICE_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  target_link_options(${name} PRIVATE -Wl,--version-script=${SLUICE_PLUGIN_EXPORTS})
  set_target_properties(${name} PROPERTIES
    PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${SLUICE_PLUGIN_EXPORTS})
endfunction()
