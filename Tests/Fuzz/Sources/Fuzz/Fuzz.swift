import CFuzz
import Glibc

/// Fuzzes one reader of files: `Fuzz TARGET [libFuzzer's options]`.
@main
enum Fuzz {
    private static let targets: [String: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt] = [
        "jpeg": mv_fuzz_jpeg,
        "png": mv_fuzz_png,
        "exif": { fuzzOrientation($0, $1) },
        "json": { fuzzJSON($0, $1) },
        "safetensors": { fuzzSafetensors($0, $1) },
        "zip": { fuzzZip($0, $1) },
        "pickle": { fuzzPickle($0, $1) },
        "csv": { fuzzCSV($0, $1) },
        "labels": { fuzzLabels($0, $1) },
        "tar": { fuzzTar($0, $1) },
    ]

    static func main() {
        guard let name = CommandLine.arguments.dropFirst().first, let target = targets[name] else {
            print("usage: Fuzz \(targets.keys.sorted().joined(separator: "|")) [OPTION ...]")
            exit(2)
        }
        // libFuzzer reads its options after the first argument, and takes that for the program's name.
        exit(mv_fuzz_run(name, target, CommandLine.argc - 1, CommandLine.unsafeArgv + 1))
    }
}
