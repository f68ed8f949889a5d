internal import COneDNN

/// The numeric library, opened once; each kernel belongs to an engine.
///
/// Kernels run on the thread that calls them and on no other: parallelism is across images (see `WorkerPool`), so that
/// a result never depends on the number of threads.
package final class KernelEngine: @unchecked Sendable {
    let handle: OpaquePointer

    /// Opens the library for the processor.
    ///
    /// - Throws: `ComputeError` when the library refuses.
    package init() throws(ComputeError) {
        mv_single_thread()
        var created: OpaquePointer?
        try check(mv_engine_create(&created), "open the numeric library")
        guard let created else { throw ComputeError(operation: "open the numeric library", reason: "no engine") }
        handle = created
    }

    deinit { mv_engine_destroy(handle) }

    /// The library and its version, for reports.
    package static var libraryVersion: String {
        var (major, minor, patch): (Int32, Int32, Int32) = (0, 0, 0)
        mv_version(&major, &minor, &patch)
        return "oneDNN \(major).\(minor).\(patch)"
    }

    /// The library and the instructions that it uses, which `ONEDNN_MAX_CPU_ISA` may limit. Layouts of packed weights
    /// depend on both.
    package static var machine: String { "\(libraryVersion), instructions \(mv_instructions())" }
}

/// Throws when a library call does not return 0.
func check(_ status: Int32, _ operation: @autoclosure () -> String) throws(ComputeError) {
    guard status == 0 else {
        throw ComputeError(operation: operation(), reason: String(cString: mv_status_text(status)))
    }
}

/// A kernel that could not be planned or run.
package struct ComputeError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The operation that failed.
    package let operation: String
    /// The library's reason.
    package let reason: String

    /// The operation and the reason.
    package var description: String { "\(operation): \(reason)" }
}
