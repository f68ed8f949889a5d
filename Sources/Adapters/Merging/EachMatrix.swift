import Compute
import Files
import Synchronization
import Tensors

/// One task's change of one parameter, its weight folded in.
struct TaskPart: Sendable {
    /// The task's place among all tasks in the order of their names.
    let index: Int
    /// The task's name.
    let task: String
    /// The task's weight.
    let weight: Double
    /// weight · ΔW_t; ΔW_t alone where weights were asked to be kept apart.
    let change: Change
}

/// The parameters that matrix rules merge, each with what the tasks change in it.
///
/// Tasks stand in the order of their names, so that the order in which adapters were given cannot decide anything; a task
/// of weight 0 takes no part. Vectors, and matrices of a single row or column, have no subspaces to speak of: they are
/// summed by weight.
struct TaskMatrices: Sendable {
    /// The parameters by name, sorted.
    let parameters: [(name: String, parts: [TaskPart])]
    /// The number of tasks, those of weight 0 included.
    let taskCount: Int
    /// What is merged as a sum, done.
    let sums: [String: Change]

    /// Splits what the tasks change into matrices and the rest, which is summed and multiplied by `factor`.
    ///
    /// - Parameter keepsAll: keep weights apart from changes, tasks of weight 0, and matrices of a single row or column.
    init(_ tasks: [TaskChanges], factor: Double, keepsAll: Bool = false) {
        let ordered = tasks.sorted { $0.task < $1.task }
        var parameters: [(name: String, parts: [TaskPart])] = []
        var sums = MergeMethod.weightedSum(ordered, factor: factor) { keepsAll ? $0.isVector : !$0.isMatrix }
        for name in Set(ordered.flatMap(\.changes.keys)).sorted() where sums[name] == nil {
            let parts = ordered.enumerated().compactMap { index, task -> TaskPart? in
                guard task.weight != 0 || keepsAll, let change = task.changes[name] else { return nil }
                return TaskPart(
                    index: index, task: task.task, weight: task.weight,
                    change: keepsAll ? change : change.scaled(by: task.weight))
            }
            if parts.isEmpty {
                sums[name] = ordered.lazy.compactMap { $0.changes[name] }.first?.scaled(by: 0)
            } else {
                parameters.append((name, parts))
            }
        }
        self.parameters = parameters
        self.sums = sums
        taskCount = tasks.count
    }

    /// Does something with every parameter, on all cores; the results in the order of the parameters.
    ///
    /// - Throws: the first parameter's error.
    func map<Result: Sendable>(
        _ body: @Sendable (_ item: Int, _ name: String, _ parts: [TaskPart]) throws -> Result
    ) throws -> [Result] {
        let results = Mutex([Int: Swift.Result<Result, any Error>]())
        let pool = try WorkerPool(workers: min(AvailableProcessors.count, parameters.count))
        let counter = LongWork.Counter("merging layers", of: parameters.count)
        BLASThreads.single {
            pool.forEach(parameters.count) { _, item in
                let result = Swift.Result {
                    try counter.check()
                    let result = try body(item, parameters[item].name, parameters[item].parts)
                    try counter.advance()
                    return result
                }
                results.withLock { $0[item] = result }
            }
        }
        let done = results.withLock { $0 }
        return try parameters.indices.compactMap { try done[$0]?.get() }
    }

    /// Merges every matrix by the rule, and adds what is merged as a sum.
    ///
    /// - Throws: the first parameter's error.
    func merged(
        _ rule: @Sendable (_ name: String, _ parts: [TaskPart]) throws -> Change.Storage
    ) throws -> [String: Change] {
        let storages = try map { _, name, parts in try rule(name, parts) }
        var merged = sums
        for ((name, parts), storage) in zip(parameters, storages) {
            merged[name] = Change(shape: parts[0].change.shape, storage)
        }
        return merged
    }
}

extension Change {
    /// Whether it has rows and columns to speak of.
    var isMatrix: Bool { !isVector && rows > 1 && columns > 1 }
}
