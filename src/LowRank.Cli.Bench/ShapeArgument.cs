using System.CommandLine;
using LowRank.Kernels;
using LowRank.Quantization;

namespace LowRank.Cli.Bench;

/// <summary>The argument of a benchmark that measures a named shape or a model folder, and several shapes when it is
/// left out.</summary>
internal static class ShapeArgument
{
    /// <summary>The argument.</summary>
    /// <param name="kind">The kind of model that the benchmark takes; empty for any.</param>
    public static Argument<string?> Create(string kind = "") => new("shape")
    {
        Description =
            $"{string.Join(", ", ModelShapes.Names)} (random weights), or a model folder" +
            $"{(kind.Length > 0 ? "; " : "")}{kind}. Left out: " +
            $"{string.Join(" and ", ModelShapes.Measured)}, one after the other.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    /// <summary>The option for the number of layers.</summary>
    public static Option<int?> Layers() => new("--layers")
    {
        Description =
            "Number of layers of a named shape, to measure a few layers of a large one. Default: the shape's own.",
    };

    /// <summary>The option for the type of the products with frozen weights.</summary>
    public static Option<string> ComputeDtype() => new("--compute-dtype")
    {
        Description =
            "In which type the products with the base's frozen weights take their inputs: " +
            $"{string.Join(", ", Devices.ComputeTypes)}.",
        DefaultValueFactory = _ => WeightFormats.Float32,
    };

    /// <summary>What is measured.</summary>
    /// <param name="shape">The argument's value.</param>
    public static IReadOnlyList<string> Chosen(string? shape) => shape is null ? ModelShapes.Measured : [shape];
}
