namespace LowRank.Tensors.Kernels;

/// <summary>Arithmetic on vectors of float32 of one width, so that a kernel is written once for all widths.</summary>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface IWide<TVector>
    where TVector : struct
{
    /// <summary>Numbers in a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Whether there are 32 registers for vectors, as with AVX-512; else 16.</summary>
    static abstract bool HasManyRegisters { get; }

    /// <summary>The next numbers of memory.</summary>
    static abstract TVector Load(float* source);

    /// <summary>Writes a vector to memory.</summary>
    static abstract void Store(float* target, TVector vector);

    /// <summary>One number in every place.</summary>
    static abstract TVector Broadcast(float value);

    /// <summary>a · b.</summary>
    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a − b.</summary>
    static abstract TVector Subtract(TVector a, TVector b);

    /// <summary>a ÷ b.</summary>
    static abstract TVector Divide(TVector a, TVector b);

    /// <summary>The larger of each place; not a number where one is none.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>Each place of <paramref name="then"/> where the chooser's is at most 0; of <paramref name="otherwise"/> where it is more, or no number.</summary>
    static abstract TVector WhereAtMostZero(TVector chooser, TVector then, TVector otherwise);

    /// <summary>e to the power of each place.</summary>
    static abstract TVector Exp(TVector exponent);

    /// <summary>As <see cref="Exp"/> for places of at most 0, several times as fast; 0 below e⁻⁸⁷.</summary>
    static abstract TVector ExpOfNegative(TVector exponent);

    /// <summary>The natural logarithm of each place.</summary>
    static abstract TVector Log(TVector vector);

    /// <summary>As many rows as a vector has places, of as many numbers, become columns.</summary>
    static abstract void Transpose(float* rows, long stride, float* target, long targetStride);

    /// <summary>a + b.</summary>
    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a·b + c, rounded once where the processor can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>The sum of the places.</summary>
    static abstract float Sum(TVector vector);
}
