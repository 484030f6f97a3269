using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using System.Text.Json.Serialization;
using LowRank.Cli.Bench.Generate;
using static TorchSharp.torch;

namespace LowRank.SpeedTests;

/// <summary>What shares of the limit depend on.</summary>
/// <param name="Processor">The processor's vendor, family and model; the architecture where they are unknown.</param>
/// <param name="VectorWidth">Numbers of its widest vectors.</param>
/// <param name="Bf16Units">Its units for products of bfloat16; null in a record that does not say.</param>
/// <param name="Threads">Threads of torch.</param>
internal sealed record ProcessorKind(
    string Processor, int VectorWidth, [property: JsonPropertyName("bf16_units")] string? Bf16Units, int Threads)
{
    private const int Features = 7; // a leaf of CPUID

    /// <summary>This machine's kind.</summary>
    public static ProcessorKind Here() => new(Name(), GenerateBench.VectorWidth, Units(), get_num_threads());

    /// <summary>Whether a record of this kind is one of the other.</summary>
    public bool Covers(ProcessorKind other) => this with { Bf16Units = other.Bf16Units } == other
        && (Bf16Units ?? other.Bf16Units) == other.Bf16Units;

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Processor}, vectors of {VectorWidth} numbers, bf16 units: {Bf16Units ?? "any"}, {Threads} threads");

    // The vendor stands in EBX, EDX, ECX of leaf 0; family and model in EAX of leaf 1, each in a short and an extended
    // part.
    private static string Name()
    {
        if (!X86Base.IsSupported) return RuntimeInformation.ProcessArchitecture.ToString();
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        int signature = X86Base.CpuId(1, 0).Eax, family = (signature >> 8 & 0xF) + (signature >> 20 & 0xFF),
            model = (signature >> 4 & 0xF) + (signature >> 12 & 0xF0);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Encoding.ASCII.GetString(MemoryMarshal.AsBytes<int>([ebx, edx, ecx]))} family {family} model {model}");
    }

    // AMX-BF16 is bit 22 of EDX in leaf 7, AVX512_BF16 bit 5 of EAX in its second part.
    private static string Units()
    {
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < Features) return "none";
        (int parts, int _, int _, int edx) = X86Base.CpuId(Features, 0);
        bool vectors = parts >= 1 && (X86Base.CpuId(Features, 1).Eax >> 5 & 1) == 1, tiles = (edx >> 22 & 1) == 1;
        string found = string.Join(" and ", new[] { vectors ? "AVX512_BF16" : null, tiles ? "AMX" : null }
            .OfType<string>());
        return found.Length == 0 ? "none" : found;
    }
}
