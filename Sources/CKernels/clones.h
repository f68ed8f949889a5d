// One function for every processor: the loader picks the clone that was compiled for the widest vectors it has.
#ifndef MV_CLONES_H
#define MV_CLONES_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// The loader asks for the clone before the sanitizer has begun.
#define MV_CLONES
#endif
#endif
#if !defined(MV_CLONES) && defined(__x86_64__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define MV_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#ifndef MV_CLONES
#define MV_CLONES
#endif

#endif
