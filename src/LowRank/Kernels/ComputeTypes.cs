using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The values of <c>compute_dtype</c>: the type of the inputs of the products with a base's frozen
/// weights.</summary>
internal static class ComputeTypes
{
    /// <summary>Weights and states enter the products as they are, in float32.</summary>
    public const string Float32 = "float32";

    /// <summary>Weights and states are rounded to bfloat16 for the products, whose sums are in float32.</summary>
    public const string BFloat16 = "bfloat16";

    /// <summary>bfloat16 where the device has units for it, otherwise float32.</summary>
    public const string Auto = "auto";

    /// <summary>Every value of <c>compute_dtype</c>.</summary>
    public static IReadOnlyList<string> Names { get; } = [Float32, BFloat16, Auto];

    /// <inheritdoc cref="Devices.ComputeType"/>
    public static ComputeType Choose(string name, Device device)
    {
        if (!Names.Contains(name))
            throw new InputException(
                Problem.Of(KnownSettings.ComputeDtype, name, $"one of {string.Join(", ", Names)}"));
        if (name == Float32) return ComputeType.Float32;
        if (BFloat16Units.Stated is { } stated) return stated;
        string? missing = BFloat16Units.Missing(device);
        if (missing is null) return ComputeType.BFloat16;
        if (name == Auto) return ComputeType.Float32;
        throw new InputException(new Problem(Words.Of(
            $"{KnownSettings.ComputeDtype} is {BFloat16}, but {missing}. Compute in float32, or choose {Auto}, which " +
            $"takes {BFloat16} where it is fast."))
        {
            Setting = KnownSettings.ComputeDtype, Found = name, Remedy = KnownSettings.ComputeDtype.To(Float32),
        });
    }
}

/// <summary>How products with frozen weights are computed.</summary>
internal enum ComputeType
{
    /// <summary>In float32.</summary>
    Float32,

    /// <summary>With inputs rounded to bfloat16, sums in float32 and the result rounded to bfloat16, by torch's
    /// bfloat16 product.</summary>
    BFloat16,

    /// <summary>The same values up to the order of the sums, by rounding around float32 products: as fast as these on
    /// processors without the unit. For tests and experiments.</summary>
    EmulatedBFloat16,
}

/// <summary>Products of float32 rows with a matrix in a compute type.</summary>
internal static class ComputedProduct
{
    /// <summary>The type of the matrix that <see cref="Write"/> takes.</summary>
    public static ScalarType MatrixType(this ComputeType compute) =>
        compute == ComputeType.Float32 ? ScalarType.Float32 : ScalarType.BFloat16;

    /// <summary>The rows as <see cref="Write"/> takes them; they serve for products with several matrices.</summary>
    /// <param name="compute">The type.</param>
    /// <param name="rows">[rows, depth], float32.</param>
    /// <returns>The rows themselves, or rounded ones in the caller's dispose scope.</returns>
    public static Tensor Prepare(this ComputeType compute, Tensor rows)
    {
        if (compute == ComputeType.Float32) return rows;
        using var scope = NewDisposeScope();
        Tensor rounded = rows.to(ScalarType.BFloat16);
        return (compute == ComputeType.BFloat16 ? rounded : rounded.to(ScalarType.Float32)).MoveToOuterDisposeScope();
    }

    /// <summary>result = rows · matrix, or result += rows · matrix. Nothing is recorded for gradients.</summary>
    /// <param name="compute">The type.</param>
    /// <param name="result">[rows, columns], float32, with contiguous rows.</param>
    /// <param name="rows">[rows, depth], from <see cref="Prepare"/>.</param>
    /// <param name="matrix">[depth, columns], of <see cref="MatrixType"/>; may be a transposed view.</param>
    /// <param name="adds">Whether the product is added to the result.</param>
    public static void Write(this ComputeType compute, Tensor result, Tensor rows, Tensor matrix, bool adds = false)
    {
        if (compute == ComputeType.Float32)
        {
            if (adds) MatMul.Add(result, rows, matrix);
            else MatMul.Write(result, rows, matrix);
            return;
        }
        using var scope = NewDisposeScope();
        Tensor product = compute == ComputeType.BFloat16 ? rows.matmul(matrix)
            : MatMul.Multiply(rows, matrix.to(ScalarType.Float32)).to(ScalarType.BFloat16);
        if (adds) result.add_(product, Number(1));
        else result.copy_(product);
    }

    /// <summary>x·Wᵀ + b as the formula in torch's operations, which record it for gradients.</summary>
    /// <param name="compute">The type.</param>
    /// <param name="input">x, […, in].</param>
    /// <param name="weight">W, [out, in], of any type.</param>
    /// <param name="bias">b, [out], or null.</param>
    /// <returns>[…, out], float32.</returns>
    public static Tensor Linear(this ComputeType compute, Tensor input, Tensor weight, Tensor? bias)
    {
        if (compute == ComputeType.Float32) return nn.functional.linear(input, weight, bias);
        Tensor product = nn.functional.linear(input.to(ScalarType.BFloat16), weight.to(ScalarType.BFloat16))
            .to(ScalarType.Float32);
        return bias is null ? product : product.Plus(bias);
    }
}
