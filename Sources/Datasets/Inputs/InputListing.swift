package import Files
import Glibc
import Synchronization
import Tensors

/// Writes the paths of all inputs of a source.
package enum InputListing {
    /// Writes the paths of all inputs, each followed by the separator.
    ///
    /// - Returns: the number of inputs.
    /// - Throws: `FileError` when a list cannot be read, or a path contains the separator; `OutputError`.
    @discardableResult
    package static func write(
        _ source: InputSource, to output: OutputFile, separator: FileListSource.Separator
    ) throws -> Int {
        let lister = try InputLister(source)
        var path: [UInt8] = []
        var block: [UInt8] = []
        var count = 0
        while try lister.next(into: &path, waiting: { _ in true }) != nil {
            guard !path.contains(separator.rawValue) else {
                throw FileError(
                    path: BytePath(path), reason: "the path contains a line break, which separates the paths of a list")
            }
            count += 1
            if count % 256 == 0 { LongWork.note("listing inputs", count, of: 0) }
            block += path
            block.append(separator.rawValue)
            if block.count >= 1 << 16 { try flush(&block, to: output) }
        }
        try flush(&block, to: output)
        return count
    }

    private static func flush(_ block: inout [UInt8], to output: OutputFile) throws(OutputError) {
        try output.write(block)
        block.removeAll(keepingCapacity: true)
    }
}

/// Counts the inputs on a thread of low priority during a run, so that progress can show the time left.
package final class InputCounter: Sendable {
    private struct State {
        var total: Int?
        var isStopped = false
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()

    /// Starts counting, unless the inputs can be listed only once.
    package init(_ source: InputSource) {
        guard source.isRepeatable else { return }
        let shared = shared
        _ = WorkerThread.start(detached: true) {
            // On Linux this applies to the calling thread alone.
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
            guard let lister = try? InputLister(source) else { return }
            var path: [UInt8] = []
            var count = 0
            while true {
                if shared.state.withLock({ $0.isStopped }) { return }
                guard (try? lister.next(into: &path, waiting: { _ in true })) != nil else { break }
                count += 1
            }
            shared.state.withLock { $0.total = count }
        }
    }

    deinit { stop() }

    /// The number of inputs; nil until all are counted.
    package var total: Int? { shared.state.withLock { $0.total } }

    /// Stops counting.
    package func stop() { shared.state.withLock { $0.isStopped = true } }
}
