using LowRank.Adapters.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Operations;

/// <summary>Changes the rank of an adapter's pairs by singular value decomposition, which gives the closest pairs of
/// that rank (Eckart and Young, 1936).</summary>
public static class AdapterResize
{
    /// <summary>Resizes every pair. If a change fits the new rank, it stays the same up to rounding.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="rank">The new rank; smaller if a module has fewer directions.</param>
    /// <returns>The result, whose tensors are in the caller's dispose scope, and how much each module kept.</returns>
    /// <exception cref="InputException">The rank is below 1.</exception>
    public static (LoraFolder Adapter, IReadOnlyList<KeptEnergy> Kept) Resize(LoraFolder adapter, int rank)
    {
        if (rank < 1) throw new InputException($"rank: found {rank}, expected at least 1.");
        using var noGradient = no_grad();
        var kept = new List<KeptEnergy>();
        List<LoraModule> modules = [.. adapter.Modules.Select(module =>
        {
            (LoraModule smaller, KeptEnergy energy) = Truncate(module, rank);
            kept.Add(energy);
            return smaller;
        })];
        return (adapter with { Modules = modules, Config = adapter.Config with { UseRsLora = false } },
            kept);
    }

    // With the reduced QR factors B = Q₁R₁ and Aᵀ = Q₂R₂, B·A = Q₁(R₁R₂ᵀ)Q₂ᵀ: only the small core has to be decomposed.
    private static (LoraModule, KeptEnergy) Truncate(LoraModule module, int rank)
    {
        using var scope = NewDisposeScope();
        (Tensor leftBasis, Tensor left) = linalg.qr(module.B.to(ScalarType.Float64) * Number(module.Scale));
        (Tensor rightBasis, Tensor right) = linalg.qr(module.A.to(ScalarType.Float64).t());
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(matmul(left, right.t()), fullMatrices: false);
        long count = Math.Min(rank, values.shape[0]);
        Tensor root = values.narrow(0, 0, count).sqrt();
        Tensor a = matmul(root.unsqueeze(1) * vh.narrow(0, 0, count), rightBasis.t()).to(ScalarType.Float32);
        Tensor b = (matmul(leftBasis, u.narrow(1, 0, count)) * root).to(ScalarType.Float32);
        double whole = values.pow(Number(2)).sum().item<double>(),
            held = values.narrow(0, 0, count).pow(Number(2)).sum().item<double>();
        return (module with { A = a.MoveToOuterDisposeScope(), B = b.MoveToOuterDisposeScope(), Scale = 1 },
            new KeptEnergy(module.Path, module.Rank, (int)count, whole, held));
    }
}
