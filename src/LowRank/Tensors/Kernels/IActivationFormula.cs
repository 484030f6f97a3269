namespace LowRank.Tensors.Kernels;

/// <summary>An activation function and its derivative.</summary>
internal interface IActivationFormula
{
    /// <summary>f(x).</summary>
    static abstract TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct;

    /// <summary>dy·f′(x).</summary>
    static abstract TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct;
}
