using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Inspection;
using LowRank.Adapters.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>How two adapters differ.</summary>
/// <param name="Settings">The config keys that differ, with both values.</param>
/// <param name="Modules">The differences between their changes, per module.</param>
public sealed record AdapterDifference(
    IReadOnlyList<(string Key, string First, string Second)> Settings, IReadOnlyList<ModuleDifference> Modules)
{
    /// <summary>Compares two adapters.</summary>
    public static AdapterDifference From(LoraFolder first, LoraFolder second)
    {
        using var noGradient = no_grad();
        Dictionary<string, LoraModule> one = first.Modules.ToDictionary(module => module.Path),
            two = second.Modules.ToDictionary(module => module.Path);
        return new AdapterDifference([.. Keys(first.Config, second.Config)],
            [.. one.Keys.Union(two.Keys).Order(ModulePathOrder.Instance)
                .Select(path => Compare(path, one.GetValueOrDefault(path), two.GetValueOrDefault(path)))]);
    }

    private static IEnumerable<(string, string, string)> Keys(AdapterConfig first, AdapterConfig second)
    {
        IReadOnlyDictionary<string, JsonElement> one = first.Values(), two = second.Values();
        foreach (string key in one.Keys.Union(two.Keys).Order(PythonJson.KeyOrder))
        {
            string? a = one.TryGetValue(key, out JsonElement left) ? left.GetRawText()
                : null, b = two.TryGetValue(key, out JsonElement right) ? right.GetRawText() : null;
            if (a is null || b is null || !JsonElement.DeepEquals(left, right))
                yield return (key, a ?? "missing", b ?? "missing");
        }
    }

    private static ModuleDifference Compare(string path, LoraModule? first, LoraModule? second)
    {
        using var scope = NewDisposeScope();
        double one = first is null ? 0 : Norm(first), two = second is null ? 0 : Norm(second);
        if (first is null || second is null || first.A.shape[1] != second.A.shape[1]
            || first.B.shape[0] != second.B.shape[0])
            return new ModuleDifference(path, first?.Rank, second?.Rank, one, two, null, null, null);
        // ⟨B₁A₁, B₂A₂⟩ = tr((B₁ᵀB₂)(A₂A₁ᵀ)): no full matrix is formed.
        Tensor left = matmul(Wide(first.B).t(), Wide(second.B)), right = matmul(Wide(second.A), Wide(first.A).t());
        double inner = (left * right.t()).sum().item<double>() * first.Scale * second.Scale;
        double distance = Math.Sqrt(Math.Max(0, one * one + two * two - 2 * inner));
        return new ModuleDifference(path, first.Rank, second.Rank, one, two, distance, one * two == 0 ? null
            : inner / (one * two), Overlap(first, second));
    }

    private static double Norm(LoraModule module) => DeltaSpectrum.From(module.A, module.B, module.Scale).FrobeniusNorm;

    // ‖QᵀP‖² / min(r₁, r₂) for orthonormal bases of the rows of A: 1 if the larger space contains the smaller (LoRA,
    // arXiv 2106.09685, section 7.2).
    private static double Overlap(LoraModule first, LoraModule second)
    {
        (Tensor one, _) = linalg.qr(Wide(first.A).t());
        (Tensor two, _) = linalg.qr(Wide(second.A).t());
        return matmul(one.t(), two).pow(Number(2)).sum().item<double>() / Math.Min(first.Rank, second.Rank);
    }

    private static Tensor Wide(Tensor tensor) => tensor.to(ScalarType.Float64);
}

/// <summary>How two adapters' changes to one module differ.</summary>
/// <param name="Path">The module.</param>
/// <param name="FirstRank">The rank of the first; null if it does not change the module.</param>
/// <param name="SecondRank">The rank of the second; null if it does not change the module.</param>
/// <param name="FirstNorm">Frobenius norm of the first change.</param>
/// <param name="SecondNorm">Frobenius norm of the second change.</param>
/// <param name="Distance">Frobenius norm of their difference; null if only one changes the module or the widths
/// differ.</param>
/// <param name="Cosine">The cosine between the changes as vectors; null if one is zero.</param>
/// <param name="Overlap">The degree to which the larger of the two input spaces contains the smaller, 0 to 1.</param>
public sealed record ModuleDifference(string Path, int? FirstRank, int? SecondRank, double FirstNorm, double SecondNorm,
    double? Distance, double? Cosine, double? Overlap);
