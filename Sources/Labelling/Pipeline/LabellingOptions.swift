/// How a run divides its work. Only the limits change the output: a file that exceeds one gets its reason as its row.
package struct LabellingOptions: Sendable, Equatable {
    /// The number of images per batch of the model, at least 1.
    let batchSize: Int
    /// The number of threads that read and decode files, at least 1.
    let threads: Int
    /// The size in bytes above which a file is refused.
    let maximumFileBytes: Int
    /// Seconds without a byte after which reading a file is abandoned.
    let timeout: Double

    /// The options of a run. Numbers of images and threads below 1 count as 1; the largest file has 1 GiB unless
    /// specified.
    package init(batchSize: Int = 8, threads: Int, maximumFileBytes: Int = 1 << 30, timeout: Double = 60) {
        self.batchSize = max(1, batchSize)
        self.threads = max(1, threads)
        self.maximumFileBytes = maximumFileBytes
        self.timeout = timeout
    }
}

/// How far a run has come.
package struct LabellingProgress: Sendable, Equatable {
    /// Inputs that have their row, including those of an earlier run that this one resumes.
    package internal(set) var done = 0
    /// The inputs among them that have their row from the earlier run.
    package internal(set) var resumed = 0
    /// Inputs whose row was taken from another, finished run.
    package internal(set) var reused = 0
    /// Inputs whose row gives the reason why they have no labels.
    package internal(set) var failed = 0
    /// The failed inputs by kind, and the first of them.
    package internal(set) var failures = FailureCounts()
    /// Inputs with a task whose best class is below the threshold.
    package internal(set) var belowThreshold = 0
    /// The number of all inputs; nil until the last has been listed.
    package internal(set) var total: Int?
    /// Links left out because they lead back to a folder above them; set at the end of the run.
    package internal(set) var loops = 0
    /// Whether the run was told to stop before all inputs had their row.
    package internal(set) var isStopped = false

    /// The beginning of a run.
    package init() {}

    /// The point that an earlier run reached.
    package init(_ checkpoint: RunCheckpoint) {
        (done, resumed) = (checkpoint.inputs, checkpoint.inputs)
        failed = checkpoint.failed
        failures = checkpoint.failures
        belowThreshold = checkpoint.belowThreshold
    }
}
