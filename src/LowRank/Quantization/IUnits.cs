namespace LowRank.Quantization;

/// <summary>Turns 64 packed values into float32. A structure, so that the loop that calls it is compiled with it inside.</summary>
internal unsafe interface IUnits
{
    /// <summary>Expands a unit.</summary>
    /// <param name="first">The first value, counted row by row; a multiple of 64.</param>
    /// <param name="target">64 values.</param>
    void Expand(long first, float* target);

    /// <summary>What a row's sum of products is multiplied with.</summary>
    float RowScale(long row);
}
