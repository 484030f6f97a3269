using System.Globalization;
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
    /// <summary>This machine's kind.</summary>
    public static ProcessorKind Here() => new(
        Cli.Bench.Processor.Name(), GenerateBench.VectorWidth, Cli.Bench.Processor.Bf16Units(), get_num_threads());

    /// <summary>Whether a record of this kind is one of the other.</summary>
    public bool Covers(ProcessorKind other) => this with { Bf16Units = other.Bf16Units } == other
        && (Bf16Units ?? other.Bf16Units) == other.Bf16Units;

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Processor}, vectors of {VectorWidth} numbers, bf16 units: {Bf16Units ?? "any"}, {Threads} threads");
}
