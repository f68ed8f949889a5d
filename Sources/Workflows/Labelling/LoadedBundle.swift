import Datasets
import Files
package import Images
import Labelling
package import VisionTransformers

/// How a model is made ready to run over images.
package struct ModelSettings: Sendable {
    /// How images become its input.
    package var preprocessor: PreprocessorChoice
    /// How images are decoded.
    package var decoding: DecodingOptions
    /// How many images are computed at the same time.
    package var threads: Int
    /// The number format that the model multiplies in.
    package var precision: PrecisionOption
    /// How many patch tokens are merged; nil for what `quantize` found if `auto` takes int8, else none.
    package var tokenMerging: TokenMergingOption?
    /// Whether packed weights are kept beside the model.
    package var cache: PackedCache.Use

    /// Settings for a model.
    package init(
        preprocessor: PreprocessorChoice, decoding: DecodingOptions, threads: Int, precision: PrecisionOption,
        tokenMerging: TokenMergingOption? = nil, cache: PackedCache.Use
    ) {
        (self.preprocessor, self.decoding, self.threads) = (preprocessor, decoding, threads)
        (self.precision, self.cache) = (precision, cache)
        self.tokenMerging = tokenMerging
    }

    /// The token merging of a bundle that is computed in a precision; nil for none.
    ///
    /// - Throws: `ModelError` when the backbone cannot compute it.
    func tokenMerging(of bundle: ModelBundle, _ computed: ComputePrecision) throws -> TokenMerging? {
        let option = tokenMerging ?? (precision == .auto && computed == .int8 ? .found : TokenMergingOption.none)
        return try option.schedule(
            bundle.backbone.configuration, bundle.preprocessing, found: bundle.keptTokenMerging?.schedule)
    }
}

/// A precision, or the choice of one by the processor and the model.
package enum PrecisionOption: String, CaseIterable, Sendable {
    case f32
    case bf16
    case int8
    /// The fastest that the processor has instructions for and that keeps nearly all labels of f32.
    case auto

    /// The precision that it stands for on this processor.
    ///
    /// - Parameter int8: what quantization found of the model's labels in int8, without which `auto` does not take it.
    func precision(int8: @autoclosure () throws -> Int8Finding) rethrows -> ComputePrecision {
        try choice(int8: int8()).precision
    }

    /// The same, and for `auto` the reason in words.
    func choice(int8: @autoclosure () throws -> Int8Finding) rethrows -> (precision: ComputePrecision, reason: String?)
    {
        switch self {
        case .f32: return (.f32, nil)
        case .bf16: return (.bf16, nil)
        case .int8: return (.int8, nil)
        case .auto:
            let finding = ComputePrecision.int8.isSupported ? try int8() : .notSupported
            if finding.isSufficient { return (.int8, "int8: \(finding)") }
            guard ComputePrecision.bf16.isSupported else {
                return (.f32, "f32: the processor has no instructions for bf16; \(finding)")
            }
            return (.bf16, "bf16: the processor has instructions for it; \(finding)")
        }
    }
}

/// What is known of a model's labels in int8.
enum Int8Finding: CustomStringConvertible {
    /// The processor has no instructions for int8.
    case notSupported
    /// The model cannot be quantized, as it has no bundle.
    case notABundle
    /// A backbone of the model is not quantized.
    case notQuantized
    /// The labels were not compared.
    case notCompared
    /// The smallest share of labels that a backbone keeps.
    case share(Double)
    /// The share of labels that is kept with token merging, and how much of a pass is computed.
    case merging(KeptTokenMerging)

    /// What quantization found for a bundle.
    ///
    /// - Throws: `FileError` when a file that it left is damaged.
    init(_ bundle: ModelBundle) throws {
        let quantized = try bundle.quantizedWeights
        guard quantized.allSatisfy({ $0 != nil }) else {
            self = .notQuantized
            return
        }
        if let merging = try bundle.keptTokenMerging(of: quantized) {
            self = .merging(merging)
            return
        }
        let shares = quantized.compactMap { $0?.agreement?.mean }
        self = shares.count < quantized.count ? .notCompared : .share(shares.min() ?? 0)
    }

    /// Whether `auto` takes int8.
    var isSufficient: Bool {
        switch self {
        case .share(let share): share >= LabelAgreement.requiredShare
        case .merging(let merging): merging.isSufficient
        default: false
        }
    }

    /// What was found, in words.
    var description: String {
        let required = "\(percent(LabelAgreement.requiredShare)) are required"
        return switch self {
        case .notSupported: "it has none for int8"
        case .notABundle: "only bundles are quantized to int8"
        case .notQuantized: "the bundle is not quantized to int8"
        case .notCompared: "quantize did not compare the labels of int8 with those of f32"
        case .share(let share): "quantize found \(percent(share)) of the labels as in f32; \(required)"
        case .merging(let merging):
            "quantize found \(percent(merging.agreement.mean)) of the labels as in f32"
                + (merging.schedule.mergesAny ? " with \(percent(merging.cost)) of the operations" : "")
                + "; \(percent(merging.required)) are required"
        }
    }

    private func percent(_ share: Double) -> String {
        percentage(roundingDown: share, decimals: 2)
    }
}

/// A bundle that is ready to label: what turns files into its network's input, and the network.
struct LoadedBundle {
    let preparer: any ImagePreparing
    let classifier: any MultitaskClassifying
    /// The SHA-256 of the bundle, if it was asked for.
    let digest: String?
    /// The number format that the network multiplies in.
    let precision: ComputePrecision
    /// Which precision `auto` took, and why; nil if one was named.
    let precisionReason: String?
    /// How many patch tokens each block merges; nil for none.
    let tokenMerging: TokenMerging?
    /// How well images fit tasks, or nil if that was not measured.
    let fits: FitFile?
    /// The library whose resize is computed.
    let resize: ResizeBackend

    /// Opens a bundle.
    ///
    /// - Parameters:
    ///   - tasks: the tasks that are asked for; backbones that none of them reads are left out. Nil for all.
    ///   - needsDigest: whether its SHA-256 is wanted.
    ///   - isLazy: whether the network is read only when the first image comes.
    /// - Throws: `ModelError`, also when it has no tasks.
    init(
        folder: String, _ settings: ModelSettings, for tasks: [String]? = nil, needsDigest: Bool = false,
        isLazy: Bool = false
    ) throws {
        let bundle = try ModelBundle(folder: folder, preprocessor: settings.preprocessor, for: tasks)
        guard !bundle.heads.isEmpty else { throw ModelError(folder, "the bundle has no tasks, so it labels nothing") }
        (precision, precisionReason) = try settings.precision.choice(int8: Int8Finding(bundle))
        let merging = try settings.tokenMerging(of: bundle, precision)
        tokenMerging = merging
        let computation = needsDigest ? BundleDigest(bundle, precision, settings.cache) : nil
        let load = { [precision] in
            try bundle.model(
                threads: settings.threads, for: tasks, precision: precision, tokenMerging: merging,
                cache: settings.cache)
        }
        classifier =
            isLazy
            ? BundleClassifier(bundle.heads(for: tasks), fitted: bundle.fittedTasks(for: tasks), load: load)
            : BundleClassifier(try load())
        preparer = PatchPreparer(bundle, decoding: settings.decoding)
        resize = bundle.preprocessing.resize
        fits = bundle.fits
        digest = try computation?.value()
    }
}
