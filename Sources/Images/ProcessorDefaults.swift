/// The image processors of transformers whose steps are those of `Preprocessing`, and what each takes for a missing
/// key.
enum Processor: String, CaseIterable {
    case vit = "ViT"
    case deit = "DeiT"
    case bit = "Bit"
    case clip = "CLIP"
    case siglip = "Siglip"

    /// The processor of a class name such as `ViTImageProcessor`, `ViTImageProcessorFast` or `ViTFeatureExtractor`.
    init?(className: String) {
        let suffixes = ["ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"]
        for processor in Processor.allCases where suffixes.contains(where: { processor.rawValue + $0 == className }) {
            self = processor
            return
        }
        return nil
    }

    /// The settings of an empty configuration, those of transformers 5.23.
    var defaults: Preprocessing {
        let half = Preprocessing.Normalization(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
        let clip = Preprocessing.Normalization(
            mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
        let square = ImageSize(height: 224, width: 224)
        switch self {
        case .vit:
            return Preprocessing(
                target: .exact(square), filter: .bilinear, crop: nil, rescaleFactor: 1 / 255, normalization: half)
        case .deit:
            return Preprocessing(
                target: .exact(ImageSize(height: 256, width: 256)), filter: .bicubic, crop: square,
                rescaleFactor: 1 / 255, normalization: half)
        case .bit, .clip:
            return Preprocessing(
                target: .shortestEdge(224), filter: .bicubic, crop: square, rescaleFactor: 1 / 255,
                normalization: clip)
        case .siglip:
            return Preprocessing(
                target: .exact(square), filter: .bicubic, crop: nil, rescaleFactor: 1 / 255, normalization: half)
        }
    }

    /// Whether a `size` that is one number means a square, rather than the shorter side.
    var isSizeSquare: Bool { self == .vit || self == .deit }
}
