package import Datasets
import Files

/// Takes the predictions of a run, in the order of the inputs, on the thread that runs the model.
package protocol PredictionSink {
    /// Takes the reason why an input has no prediction.
    func appendFailure(path: [UInt8], reason: String)

    /// Takes the logits of an image for all the model's tasks, one task after the other.
    ///
    /// - Returns: how the run counts the image.
    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> PredictionOutcome

    /// Whether it takes what each file was when it was read.
    var takesIdentities: Bool { get }

    /// Whether it takes features.
    var takesFeatures: Bool { get }

    /// Takes what the next input was when it was read. Called before the input's prediction.
    func take(_ identity: InputIdentity?)

    /// Takes the features of the next input, of all its feature columns. Called before the input's prediction.
    func take(features: UnsafeBufferPointer<Float>)

    /// Takes the row of an earlier run as the next input's.
    ///
    /// - Parameter row: its number, as `ReusableRows.find` gave it.
    /// - Returns: how the run counts the image.
    /// - Throws: when the row cannot be read; it ends the run.
    func appendReused(_ row: Int, path: [UInt8]) throws -> PredictionOutcome

    /// Called before the first prediction and after each batch.
    ///
    /// - Throws: any error of the output; it ends the run.
    func flush(_ progress: LabellingProgress) throws
}

extension PredictionSink {
    /// False: most sinks keep predictions alone.
    package var takesIdentities: Bool { false }

    /// False: most sinks keep predictions alone.
    package var takesFeatures: Bool { false }

    /// Drops it.
    package func take(_ identity: InputIdentity?) {}

    /// Drops them.
    package func take(features: UnsafeBufferPointer<Float>) {}

    /// Refuses it: without an earlier run there is no such row.
    package func appendReused(_ row: Int, path: [UInt8]) throws -> PredictionOutcome {
        throw LabellingError.system("row \(row) of an earlier run, but none is read")
    }
}

/// Runs a model over inputs, from the list of their paths to their rows.
///
///     InputLister      the path of each input, in order
///     DecodeWorkers    threads that read, decode and prepare the files      (options.threads of them)
///     PrefetchRing     the prepared images, in the order of the inputs
///     BatchEngine      the model, on the calling thread                     (options.batchSize images at once)
///     PredictionSink   rows, or the predictions of an evaluation
///
/// Memory depends on the batch size and the number of threads, not on the number of inputs.
package struct LabellingPipeline {
    private let preparer: any ImagePreparing
    private let classifier: any MultitaskClassifying
    private let options: LabellingOptions

    /// A pipeline.
    ///
    /// - Parameters:
    ///   - preparer: decodes the files and prepares the images.
    ///   - classifier: the model.
    package init(preparer: any ImagePreparing, classifier: any MultitaskClassifying, options: LabellingOptions) {
        (self.preparer, self.classifier, self.options) = (preparer, classifier, options)
    }

    /// Labels all inputs of a source and writes their rows in the order of the inputs.
    ///
    /// If the output holds the rows of an earlier run, their inputs are listed again, compared, and not labelled again.
    /// The caller commits or discards `output`.
    ///
    /// - Parameters:
    ///   - rows: the format of the rows; its tasks must be the classifier's.
    ///   - reuse: the rows of an earlier run, which are taken for files that have not changed.
    ///   - progress: called after every batch.
    ///   - isStopped: polled; once it returns true, the run ends after the current batch.
    /// - Returns: the number of rows of each kind.
    /// - Throws: `LabellingError` when the model or the list of inputs fails, or the inputs are no longer those of the
    ///   earlier run; `OutputError`. A file that cannot be labelled gets its row instead.
    package func run(
        _ source: InputSource, rows: RowWriter, output: some RowOutput, reuse: ReusableRows? = nil,
        progress: (LabellingProgress) -> Void = { _ in }, isStopped: () -> Bool = { false }
    ) throws -> LabellingProgress {
        let lister = try InputLister(source)
        let sink = RowSink(rows: rows, output: output, reuse: reuse)
        guard let start = output.start else {
            rows.appendHeader()
            return try run(lister, sink: sink, reuse: reuse, progress: progress, isStopped: isStopped)
        }
        var resumption = LabellingProgress(start)
        guard let paths = try lister.skip(start.inputs, isStopped: isStopped) else {
            resumption.isStopped = isStopped()
            guard !resumption.isStopped else { return resumption }
            throw output.refusal("it holds the rows of \(start.inputs) inputs, but now there are fewer")
        }
        guard paths.text == start.paths else {
            throw output.refusal("the first \(start.inputs) inputs are no longer those whose rows it holds")
        }
        sink.paths = paths
        return try run(
            lister, sink: sink, reuse: reuse, after: resumption, progress: progress, isStopped: isStopped)
    }

    /// Gives all remaining inputs of a lister to the model, and its predictions to a sink.
    ///
    /// - Parameter start: the progress of the earlier run that this one resumes.
    /// - Returns: the progress at the end.
    /// - Throws: `LabellingError` when the model or the list of inputs fails, and any error of the sink.
    package func run(
        _ lister: InputLister, sink: some PredictionSink, reuse: ReusableRows? = nil,
        after start: LabellingProgress = LabellingProgress(),
        progress: (LabellingProgress) -> Void = { _ in }, isStopped: () -> Bool = { false }
    ) throws -> LabellingProgress {
        let ring = PrefetchRing(
            slots: 2 * options.batchSize + options.threads, valuesPerImage: preparer.valuesPerImage,
            timeout: options.timeout)
        let workers = try DecodeWorkers(
            count: options.threads, lister: lister, ring: ring, preparer: preparer,
            maximumFileBytes: options.maximumFileBytes,
            identifying: reuse.map { rows in .reusing { rows.find($0) } }
                ?? (sink.takesIdentities ? .files : .nothing))
        var engine = BatchEngine(
            ring: ring, workers: workers, classifier: classifier, batchSize: options.batchSize,
            valuesPerImage: preparer.valuesPerImage, takesFeatures: sink.takesFeatures, progress: start)
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
}

/// Writes predictions as rows, and what belongs to them into the companions of the rows.
private final class RowSink<Output: RowOutput>: PredictionSink {
    private let rows: RowWriter
    private let output: Output
    private let reuse: ReusableRows?
    private let companions: RowCompanions
    /// The digest of the paths of all inputs that have their row.
    var paths = InputDigest()
    private var identity: InputIdentity?
    private var features: UnsafeBufferPointer<Float>?
    /// Entries of the companions that are not flushed yet.
    private var fileEntries: [UInt8] = []
    private var featureEntries: [UInt8] = []
    private var failure: LabellingError?

    init(rows: RowWriter, output: Output, reuse: ReusableRows?) {
        (self.rows, self.output, self.reuse) = (rows, output, reuse)
        companions = output.companions
    }

    var takesIdentities: Bool { companions.files != nil }

    var takesFeatures: Bool { companions.features != nil }

    func take(_ identity: InputIdentity?) { self.identity = identity }

    func take(features: UnsafeBufferPointer<Float>) { self.features = features }

    func appendFailure(path: [UInt8], reason: String) {
        appendEntries(path) {
            rows.appendFailure(path: path, reason: reason)
            return .failed(.notFinite)
        }
    }

    func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> PredictionOutcome {
        appendEntries(path) { rows.append(path: path, logits: logits) }
    }

    func appendReused(_ row: Int, path: [UInt8]) throws -> PredictionOutcome {
        guard let reuse else { throw LabellingError.system("row \(row) of an earlier run, but none is read") }
        var outcome = PredictionOutcome.accepted
        try reuse.read(row) { bytes, isBelowThreshold in
            if isBelowThreshold { outcome = .belowThreshold }
            appendEntries(path, isSettled: true) {
                rows.append(bytes)
                return outcome
            }
        }
        return outcome
    }

    /// Appends the row of an input, and its entries.
    ///
    /// - Parameter isSettled: whether a later change of the file is known to show.
    @discardableResult
    private func appendEntries(
        _ path: [UInt8], isSettled: Bool = false, _ append: () -> PredictionOutcome
    ) -> PredictionOutcome {
        paths.add(path)
        let start = rows.bytes.count
        let outcome = append()
        var hasRow = true
        if case .failed = outcome { hasRow = false }
        if companions.files != nil {
            let identity = identity ?? InputIdentity(.file, path: path, status: nil)
            let length = rows.bytes.count - start
            if UInt32(exactly: length) == nil { failure = .system("\(BytePath(path)): a row of \(length) bytes") }
            ReuseEntry(
                identity, rowBytes: UInt32(truncatingIfNeeded: length),
                isReusable: hasRow && (isSettled || identity.isSettled), isBelowThreshold: outcome == .belowThreshold
            ).append(to: &fileEntries)
        }
        if let file = companions.features {
            do throws(LabellingError) {
                try file.append(hasRow ? features : nil, path: path, to: &featureEntries)
            } catch { failure = failure ?? error }
        }
        (identity, features) = (nil, nil)
        return outcome
    }

    func flush(_ progress: LabellingProgress) throws {
        if let failure { throw failure }
        try rows.flush(to: output)
        if !fileEntries.isEmpty { try companions.files?.append(fileEntries) }
        if !featureEntries.isEmpty { try companions.features?.file.append(featureEntries) }
        fileEntries.removeAll(keepingCapacity: true)
        featureEntries.removeAll(keepingCapacity: true)
        try output.note(
            RunPoint(
                inputs: progress.done, failed: progress.failed, failures: progress.failures,
                belowThreshold: progress.belowThreshold, paths: paths))
    }
}
