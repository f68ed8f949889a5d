internal import CLAPACK
import Synchronization

/// How many threads BLAS uses for one call, a setting of the whole process.
package enum BLASThreads {
    private static let state = Mutex((users: 0, before: 1))

    /// Keeps BLAS from using more threads than there are processors available: it knows the affinity, but no quota.
    package static func limit() {
        state.withLock { state in
            guard state.users == 0 else { return }
            let before = Int(mv_blas_threads(1))
            _ = mv_blas_threads(Int32(min(before, AvailableProcessors.count)))
        }
    }

    /// Runs something with single-threaded BLAS, as code wants that calls it from several threads: those that BLAS starts
    /// for each call would only be in their way.
    package static func single<Result>(_ body: () throws -> Result) rethrows -> Result {
        state.withLock { state in
            if state.users == 0 { state.before = Int(mv_blas_threads(1)) }
            state.users += 1
        }
        defer {
            state.withLock { state in
                state.users -= 1
                if state.users == 0 { _ = mv_blas_threads(Int32(state.before)) }
            }
        }
        return try body()
    }
}
