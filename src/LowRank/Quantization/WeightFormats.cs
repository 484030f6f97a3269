using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>What <c>base_dtype</c> can be: the formats, in one list, those that a program registers, and two words of
/// its own.</summary>
public static class WeightFormats
{
    /// <summary>As the folder stores it: packed where it is packed, else float32.</summary>
    public const string Auto = "auto";

    /// <summary>Every weight in float32, expanded where the folder stores it packed.</summary>
    public const string Float32 = "float32";

    private static readonly Registry<IWeightFormat> Formats = new("weight format", format => format.Name,
        [new BFloat16Format(), new Int8Format(), new Nf4Format()], Auto, Float32);

    /// <summary>The formats, by name.</summary>
    public static IReadOnlyList<IWeightFormat> All => Formats.All;

    /// <summary>Adds a format of your own, for every model that is opened afterwards; from any thread.</summary>
    /// <exception cref="ArgumentException">Its name is taken; formats are not replaced.</exception>
    public static void Register(IWeightFormat format) => Formats.Register(format);

    /// <summary>Every value of <c>base_dtype</c>.</summary>
    public static IReadOnlyList<string> Names => [Auto, Float32, .. All.Select(format => format.Name)];

    /// <summary>The format of a name; null for <see cref="Auto"/> and <see cref="Float32"/>.</summary>
    /// <exception cref="InputException">There is none; the message lists those that are.</exception>
    public static IWeightFormat? Get(string name) => name is Auto or Float32 ? null
        : Formats.Find(name)
        ?? throw new InputException($"base_dtype is {name}, expected one of {string.Join(", ", Names)}.");
}

/// <summary>A way to keep the frozen weights of linear layers in fewer bytes, listed in
/// <see cref="WeightFormats"/>.</summary>
public interface IWeightFormat
{
    /// <summary>What <c>base_dtype</c> calls it.</summary>
    string Name { get; }

    /// <summary>Bytes of a weight, scales included, for large matrices.</summary>
    double BytesPerWeight { get; }

    /// <summary>Whether bitsandbytes has a form for it, so that it can be written as a model folder.</summary>
    bool IsWritable { get; }

    /// <summary>Packs a matrix.</summary>
    /// <param name="matrix">[out, in], of any floating type, contiguous or not; not kept.</param>
    /// <param name="buffer">Where it is expanded while it is computed with; shared by the matrices of a model.</param>
    /// <returns>The packed matrix; the caller owns it.</returns>
    /// <exception cref="InputException">A value is not finite, so that it has no scale.</exception>
    PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer);
}
