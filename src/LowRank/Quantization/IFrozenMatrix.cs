namespace LowRank.Quantization;

/// <summary>A frozen matrix [rows, columns] kept in fewer bytes than float32 takes.</summary>
internal interface IFrozenMatrix : IDisposable
{
    /// <summary>The name of its <see cref="IWeightFormat"/>.</summary>
    string Format { get; }

    /// <summary>Outputs of the layer.</summary>
    long Rows { get; }

    /// <summary>Inputs of the layer.</summary>
    long Columns { get; }

    /// <summary>Bytes it takes, scales included.</summary>
    long Bytes { get; }
}
