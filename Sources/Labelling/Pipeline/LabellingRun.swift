package import Datasets
import Files

/// How a run goes about its work. But for files that hang, none of this changes a byte of the output.
package struct LabellingOptions: Sendable, Equatable {
    /// How many images the model sees at once.
    package var batchSize: Int
    /// How many threads read and decode files.
    package var threads: Int
    /// Files of more bytes are refused.
    package var maximumFileBytes: Int
    /// Seconds without a byte after which reading a file is given up.
    package var timeout: Double

    /// The options of a run; 1 GiB is the largest file unless specified.
    package init(batchSize: Int = 8, threads: Int, maximumFileBytes: Int = 1 << 30, timeout: Double = 60) {
        self.batchSize = max(1, batchSize)
        self.threads = max(1, threads)
        self.maximumFileBytes = maximumFileBytes
        self.timeout = timeout
    }
}

/// How far a run has come.
package struct LabellingProgress: Sendable, Equatable {
    /// Inputs that have their row, those of an earlier run that this one goes on with among them.
    package internal(set) var done = 0
    /// Those of the earlier run.
    package internal(set) var resumed = 0
    /// Those whose row says why they have no labels.
    package internal(set) var failed = 0
    /// Of what kinds these are, and which was the first.
    package internal(set) var failures = FailureCounts()
    /// Those with a task whose best answer is below the threshold.
    package internal(set) var belowThreshold = 0
    /// How many inputs there are, once they are all listed.
    package internal(set) var total: Int?
    /// Links left out because they lead back to a folder above them; known at the end.
    package internal(set) var loops = 0
    /// Whether the run was told to stop before all inputs had their row.
    package internal(set) var isStopped = false
}

/// What takes the answers of a run, in the order of the inputs. It is called from the thread that runs the model.
package protocol PredictionSink {
    /// Takes the reason why an input has no answer.
    func appendFailure(path: [UInt8], reason: String)
    /// Takes the logits of all the model's tasks for an image, and tells what came of it.
    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> RowWriter.Outcome
    /// Called before the first answer, and after each batch.
    ///
    /// - Throws: any error of the output; it ends the run.
    func flush(_ progress: LabellingProgress) throws
}

/// Labels everything in `source` and writes one row an input, in input order, as the answers come.
///
/// The calling thread is the one that runs the model and writes; `options.threads` others decode. Memory is bounded by
/// the batch size and the threads, whatever the number of inputs. If the output has rows of an earlier run, their
/// inputs are listed again and left out. The caller commits or discards `output`.
///
/// - Parameters:
///   - source: the files and folders.
///   - preparer: decodes files.
///   - classifier: the model.
///   - rows: how rows look; its tasks must be the classifier's.
///   - output: where they go.
///   - options: batch size and threads.
///   - progress: told after every batch.
///   - isStopped: asked again and again whether to stop after the batch under way.
/// - Returns: how many rows there are and of what kind.
/// - Throws: `LabellingError` when the model, the list of inputs or the output fails; a file that cannot be labelled
///   gets its row instead.
package func label(
    _ source: InputSource, preparer: any ImagePreparing, classifier: any MultitaskClassifying, rows: RowWriter,
    output: some RowOutput, options: LabellingOptions, progress: (LabellingProgress) -> Void = { _ in },
    isStopped: () -> Bool = { false }
) throws -> LabellingProgress {
    let lister = try InputLister(source)
    let sink = RowSink(rows: rows, output: output)
    guard let start = output.start else {
        rows.appendHeader()
        return try answer(
            lister, preparer: preparer, classifier: classifier, sink: sink, options: options, progress: progress,
            isStopped: isStopped)
    }
    var earlier = LabellingProgress(start)
    guard let paths = try lister.skip(start.inputs, isStopped: isStopped) else {
        earlier.isStopped = isStopped()
        guard !earlier.isStopped else { return earlier }
        throw output.refusal("it holds the rows of \(start.inputs) inputs, but now there are fewer")
    }
    guard paths.text == start.paths else {
        throw output.refusal("the first \(start.inputs) inputs are no longer those whose rows it holds")
    }
    sink.paths = paths
    return try answer(
        lister, preparer: preparer, classifier: classifier, sink: sink, options: options, after: earlier,
        progress: progress, isStopped: isStopped)
}

extension LabellingProgress {
    /// Where an earlier run was.
    package init(_ checkpoint: RunCheckpoint) {
        self.init()
        (done, resumed) = (checkpoint.inputs, checkpoint.inputs)
        failed = checkpoint.failed
        failures = checkpoint.failures
        belowThreshold = checkpoint.belowThreshold
    }
}

/// Rows that go to a file.
private final class RowSink<Output: RowOutput>: PredictionSink {
    private let rows: RowWriter
    private let output: Output
    /// The paths of all inputs that have their row.
    var paths = InputDigest()

    init(rows: RowWriter, output: Output) {
        self.rows = rows
        self.output = output
    }

    func appendFailure(path: [UInt8], reason: String) {
        paths.add(path)
        rows.appendFailure(path: path, reason: reason)
    }

    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> RowWriter.Outcome {
        paths.add(path)
        return rows.append(path: path, logits: logits)
    }

    func flush(_ progress: LabellingProgress) throws {
        try rows.flush(to: output)
        try output.note(
            RunPoint(
                inputs: progress.done, failed: progress.failed, failures: progress.failures,
                belowThreshold: progress.belowThreshold, paths: paths))
    }
}

/// Gives everything that `lister` has left to the model, and the answers to `sink`, as `label` does.
///
/// - Parameter earlier: what has been done before.
package func answer(
    _ lister: InputLister, preparer: any ImagePreparing, classifier: any MultitaskClassifying,
    sink: some PredictionSink,
    options: LabellingOptions, after earlier: LabellingProgress = LabellingProgress(),
    progress: (LabellingProgress) -> Void = { _ in }, isStopped: () -> Bool = { false }
) throws -> LabellingProgress {
    let ring = PrefetchRing(
        slots: 2 * options.batchSize + options.threads, valuesPerImage: preparer.valuesPerImage,
        timeout: options.timeout)
    let workers = try DecodeWorkers(
        count: options.threads, lister: lister, ring: ring, preparer: preparer,
        maximumFileBytes: options.maximumFileBytes)
    var engine = BatchEngine(
        ring: ring, workers: workers, classifier: classifier, batchSize: options.batchSize,
        valuesPerImage: preparer.valuesPerImage,
        progress: earlier)
    do {
        try sink.flush(engine.progress)
        while try engine.step(sink, isStopped) {
            try sink.flush(engine.progress)
            progress(engine.progress)
        }
    } catch {
        ring.stop()
        workers.join()
        throw error
    }
    if engine.progress.isStopped { ring.stop() } else { engine.progress.total = engine.progress.done }
    workers.join()
    engine.progress.loops = lister.loops
    return engine.progress
}

/// Takes batches from the ring, asks the model and hands its answers on.
private struct BatchEngine: ~Copyable {
    let ring: PrefetchRing
    let workers: DecodeWorkers
    let classifier: any MultitaskClassifying
    let batchSize: Int
    let valuesPerImage: Int
    let classes: Int
    let inputs: UnsafeMutableBufferPointer<Float>
    let logits: UnsafeMutableBufferPointer<Float>
    /// The paths of the batch, and why an input has no image; kept from batch to batch for their storage.
    var paths: [[UInt8]] = []
    var failures: [InputFailure?] = []
    var progress: LabellingProgress

    init(
        ring: PrefetchRing, workers: DecodeWorkers, classifier: any MultitaskClassifying, batchSize: Int,
        valuesPerImage: Int, progress: LabellingProgress
    ) {
        self.ring = ring
        self.workers = workers
        self.progress = progress
        self.classifier = classifier
        self.batchSize = batchSize
        self.valuesPerImage = valuesPerImage
        classes = classifier.tasks.reduce(0) { $0 + $1.classes.count }
        inputs = .allocate(capacity: batchSize * valuesPerImage)
        inputs.initialize(repeating: 0)
        logits = .allocate(capacity: batchSize * classes)
        logits.initialize(repeating: 0)
    }

    deinit {
        inputs.deallocate()
        logits.deallocate()
    }

    /// One batch; false when there is none left, or the run is to stop.
    mutating func step(_ sink: some PredictionSink, _ isStopped: () -> Bool) throws -> Bool {
        guard let slots = try ring.take(images: batchSize, unless: isStopped, abandoned: workers.replaceOne) else {
            progress.isStopped = !ring.isDrained
            return false
        }
        let images = gather(slots)
        ring.release(slots.count)
        if images > 0 {
            do {
                try classifier.logits(
                    UnsafeBufferPointer(rebasing: inputs[..<(images * valuesPerImage)]), images: images,
                    into: UnsafeMutableBufferPointer(rebasing: logits[..<(images * classes)]))
            } catch {
                throw LabellingError.model("\(error)")
            }
        }
        var image = 0
        for index in slots.indices {
            if let failure = failures[index] {
                sink.appendFailure(path: paths[index], reason: failure.reason)
                fail(paths[index], failure)
                continue
            }
            let answer = UnsafeBufferPointer(rebasing: logits[(image * classes)..<((image + 1) * classes)])
            switch sink.append(path: paths[index], logits: answer) {
            case .labelled: break
            case .belowThreshold: progress.belowThreshold += 1
            case .notFinite: fail(paths[index], InputFailure(.notFinite, RowWriter.notFiniteReason))
            }
            image += 1
        }
        progress.done += slots.count
        progress.total = ring.total.map { $0 + progress.resumed }
        return true
    }

    private mutating func fail(_ path: [UInt8], _ failure: InputFailure) {
        progress.failed += 1
        progress.failures.add(path, failure)
    }

    /// Copies images side by side for the model and keeps what the rows need, so that the slots can be filled again
    /// while the model works. Copying is under a thousandth of the work that follows.
    private mutating func gather(_ slots: [PrefetchRing.Slot]) -> Int {
        var images = 0
        for (index, slot) in slots.enumerated() {
            if index == paths.count {
                paths.append([])
                failures.append(nil)
            }
            swap(&paths[index], &slot.path)
            failures[index] = slot.failure
            guard slot.failure == nil else { continue }
            _ = UnsafeMutableBufferPointer(rebasing: inputs[(images * valuesPerImage)...]).update(from: slot.values)
            images += 1
        }
        return images
    }
}
