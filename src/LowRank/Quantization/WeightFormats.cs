using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The values of <c>base_dtype</c>: the formats, in one list, those that a program registers, and two
/// keywords.</summary>
public static class WeightFormats
{
    /// <summary>As the folder stores it: packed if it is packed, otherwise float32.</summary>
    public const string Auto = "auto";

    /// <summary>Every weight in float32, expanded if the folder stores it packed.</summary>
    public const string Float32 = "float32";

    /// <summary>The value of <c>base_head</c> that keeps the output head in the base's own format.</summary>
    public const string Base = "base";

    private static readonly Registry<IWeightFormat> Formats = new("weight format", format => format.Name,
        [new BFloat16Format(), new Int8Format(), new Nf4Format()], Auto, Float32, Base);

    /// <summary>The formats, by name.</summary>
    public static IReadOnlyList<IWeightFormat> All => Formats.All;

    /// <summary>Adds your own format for every model that is opened afterwards. Thread-safe.</summary>
    /// <exception cref="ArgumentException">Its name is taken; formats cannot be replaced.</exception>
    public static void Register(IWeightFormat format) => Formats.Register(format);

    /// <summary>Every value of <c>base_dtype</c>.</summary>
    public static IReadOnlyList<string> Names => [Auto, Float32, .. All.Select(format => format.Name)];

    /// <summary>Every value of <c>base_head</c>.</summary>
    public static IReadOnlyList<string> HeadNames { get; } = [Float32, Base];

    /// <summary>The format with a name; null for <see cref="Auto"/> and <see cref="Float32"/>.</summary>
    /// <exception cref="InputException">The format is unknown; the message lists the known ones.</exception>
    public static IWeightFormat? Get(string name) => name is Auto or Float32 ? null
        : Formats.Find(name)
        ?? throw new InputException(Problem.Of(KnownSettings.BaseDtype, name, $"one of {string.Join(", ", Names)}"));
}

/// <summary>A way to store the frozen weights of linear layers in fewer bytes, listed in
/// <see cref="WeightFormats"/>.</summary>
public interface IWeightFormat
{
    /// <summary>Its name in <c>base_dtype</c>.</summary>
    string Name { get; }

    /// <summary>Bytes per weight, including scales, for large matrices.</summary>
    double BytesPerWeight { get; }

    /// <summary>Whether bitsandbytes has an equivalent, so that it can be written as a model folder.</summary>
    bool IsWritable { get; }

    /// <summary>Packs a matrix.</summary>
    /// <param name="matrix">[out, in], of any floating-point type, contiguous or not; not retained.</param>
    /// <param name="buffer">The memory in which it is expanded during computation; shared by the matrices of a
    /// model.</param>
    /// <returns>The packed matrix (<see cref="PackedWeight.Create"/>); the caller owns it.</returns>
    /// <exception cref="InputException">A value is not finite, so it has no scale.</exception>
    PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer);
}
