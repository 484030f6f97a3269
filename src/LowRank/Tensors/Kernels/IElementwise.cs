namespace LowRank.Tensors.Kernels;

/// <summary>An operation that computes each number from the numbers at the same place.</summary>
internal unsafe interface IElementwise
{
    /// <summary>Computes one vector of places.</summary>
    /// <param name="from">Where they lie; those that the operation does not know are null.</param>
    /// <param name="i">The first place.</param>
    static abstract void At<TWide, TVector>(in ElementRow from, long i)
        where TWide : struct, IWide<TVector>
        where TVector : struct;
}
