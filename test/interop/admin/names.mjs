/** Names of metrics that are not here, by what they are about; README lists them with the reasons. */

const JVM = [
  /^jvm_info\b/, // there is no JVM
  /^jvm_threads_/, // one thread runs JavaScript
  /^jvm_classes_/, // nor classes that are loaded
  /^jvm_memory_pool_/, // the pools of V8 are other ones
  /^jvm_buffer_pool_/, // as are its buffers: jvm_memory_bytes_used{area="nonheap"} has them
  /^jvm_memory_bytes_init\b/, // V8 begins with nothing
]

export const NOT_HERE = {
  mntr: [/^zk_version$/],
  prometheus: JVM,
  samples: [
    ...JVM,
    /^jvm_gc_collection_seconds/, // by the kinds of V8's collections, once there was one
    // Java's CommitProcessor and its threads: see README.
    /^learner_handler_qp_time_ms/,
  ],
}

/** Without the values of labels that differ from server to server. */
export function mergeNames(names) {
  return new Set([...names].map((name) => name.replace(/="[^"]*"/g, '')))
}
