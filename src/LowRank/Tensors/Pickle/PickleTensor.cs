namespace LowRank.Tensors.Pickle;

/// <summary>A tensor that a pickle describes.</summary>
/// <param name="Storage">Where its numbers are.</param>
/// <param name="Offset">The first of them.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Strides">Numbers from one element to the next in each dimension.</param>
internal sealed record PickleTensor(PickleStorage Storage, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Whether the elements lie one after the other.</summary>
    public bool IsContiguous
    {
        get
        {
            long expected = 1;
            for (int i = Shape.Length - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && Strides[i] != expected) return Array.IndexOf(Shape, 0) >= 0;
                expected *= Shape[i];
            }
            return true;
        }
    }
}
