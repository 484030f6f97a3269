using static TorchSharp.torch;

namespace LowRank.Models.Gguf;

/// <summary>One tensor of a GGUF model, and what it is in a Hugging Face checkpoint.</summary>
/// <param name="Name">Its name in GGUF.</param>
/// <param name="Sources">The checkpoint's weight; several for experts and the norms of heads, which GGUF
/// stacks.</param>
internal sealed record GgufWeight(string Name, params IReadOnlyList<string> Sources)
{
    /// <summary>How the checkpoint's values are arranged in GGUF.</summary>
    public GgufForm Form { get; init; } = GgufForm.Same;

    /// <summary>Whether a model may lack it, such as a bias.</summary>
    public bool IsOptional { get; init; }

    /// <summary>Whether GGUF's file keeps it in float32 whatever the file's type is.</summary>
    public bool IsKeptWide { get; init; }

    /// <summary>Whether it stacks several of the checkpoint's weights.</summary>
    public bool IsStacked => Sources.Count > 1;
}

/// <summary>How a weight is arranged in GGUF, relative to the checkpoint.</summary>
internal sealed record GgufForm
{
    /// <summary>As in the checkpoint.</summary>
    public static GgufForm Same { get; } = new();

    /// <summary>The checkpoint has [in, out] (GPT-2), GGUF [out, in].</summary>
    public static GgufForm Transposed { get; } = new() { IsTransposed = true };

    /// <summary>The checkpoint has the difference from 1 (Gemma's norms), GGUF the sum.</summary>
    public static GgufForm PlusOne { get; } = new() { Addend = 1 };

    /// <summary>The checkpoint has [1, in], GGUF [in].</summary>
    public static GgufForm OneRow { get; } = new() { IsOneRow = true };

    /// <summary>Whether rows are columns in the checkpoint.</summary>
    public bool IsTransposed { get; private init; }

    /// <summary>Whether the checkpoint's only row is a vector in GGUF.</summary>
    public bool IsOneRow { get; private init; }

    /// <summary>What is added to the checkpoint's values.</summary>
    public float Addend { get; private init; }

    /// <summary>By what the checkpoint's values are multiplied.</summary>
    public double Factor { get; private init; } = 1;

    /// <summary>Number of the checkpoint's first rows that GGUF leaves out.</summary>
    public int SkippedRows { get; private init; }

    private Func<long, long[]>? Order { get; init; }

    /// <summary>Rows of rotated heads: the checkpoint has the two halves of a head one after the other, GGUF a value
    /// of each in turn, because llama.cpp rotates neighbours in its llama architecture.</summary>
    /// <param name="heads">Number of heads in the rows.</param>
    public static GgufForm Interleaved(int heads) => new()
    {
        Order = rows =>
        {
            long width = rows / heads, half = width / 2;
            return [.. Enumerable.Range(0, (int)rows)
                .Select(row => row / width * width + row % width % 2 * half + row % width / 2)];
        },
    };

    /// <summary>Rows of queries, keys and values: the checkpoint has them group by group, the queries of a key-value
    /// head before its key and value, GGUF all queries first.</summary>
    /// <param name="heads">Number of query heads.</param>
    /// <param name="keyValueHeads">Number of key-value heads.</param>
    public static GgufForm Regrouped(int heads, int keyValueHeads) => new()
    {
        Order = rows =>
        {
            int queries = heads / keyValueHeads;
            long width = rows / (heads + 2 * keyValueHeads);
            // The place of a head of GGUF in the checkpoint.
            long Place(long head) => head < heads ? head / queries * (queries + 2) + head % queries
                : (head - heads) % keyValueHeads * (queries + 2) + queries + (head - heads) / keyValueHeads;
            return [.. Enumerable.Range(0, (int)rows).Select(row => Place(row / width) * width + row % width)];
        },
    };

    /// <summary>A norm's weight with a factor that llama.cpp does not apply after it.</summary>
    public static GgufForm Scaled(double factor) => new() { Factor = factor };

    /// <summary>A table whose first rows stand for no position.</summary>
    public static GgufForm Without(int rows) => new() { SkippedRows = rows };

    /// <summary>For each row in GGUF, its row in the checkpoint; null if they are the same.</summary>
    /// <param name="rows">Number of rows.</param>
    public long[]? RowOrder(long rows) => Order?.Invoke(rows);

    /// <summary>A weight as GGUF has it, from the checkpoint's.</summary>
    public Tensor ToGguf(Tensor stored)
    {
        Tensor weight = IsTransposed ? stored.t() : IsOneRow ? stored.view(-1) : stored;
        if (SkippedRows > 0) weight = weight.narrow(0, SkippedRows, weight.shape[0] - SkippedRows);
        if (RowOrder(weight.shape[0]) is { } order) weight = weight.index_select(0, tensor(order));
        if (Factor != 1) weight = weight.to(ScalarType.Float32) * Number(Factor);
        return Addend == 0 ? weight : weight.to(ScalarType.Float32).Plus(Addend);
    }

    /// <summary>A weight as the checkpoint has it, from GGUF's; the rows that GGUF leaves out are zero.</summary>
    public Tensor FromGguf(Tensor written)
    {
        Tensor weight = Addend == 0 ? written : written.to(ScalarType.Float32) - Number(Addend);
        if (Factor != 1) weight = weight.to(ScalarType.Float32) / Number(Factor);
        if (RowOrder(weight.shape[0]) is { } order) weight = weight.index_select(0, tensor(Inverse(order)));
        if (SkippedRows > 0)
            weight = cat([zeros([SkippedRows, .. weight.shape[1..]], weight.dtype), weight], 0);
        return IsTransposed ? weight.t().contiguous() : IsOneRow ? weight.view(1, -1) : weight;
    }

    /// <summary>The shape in GGUF of a weight with a shape in the checkpoint.</summary>
    public long[] ShapeInGguf(long[] stored) => IsTransposed ? [.. stored.Reverse()] : IsOneRow ? stored[1..]
        : SkippedRows > 0 ? [stored[0] - SkippedRows, .. stored[1..]] : stored;

    /// <summary>The shape in the checkpoint of a weight with a shape in GGUF.</summary>
    public long[] ShapeInCheckpoint(long[] written) => IsTransposed ? [.. written.Reverse()]
        : IsOneRow ? [1, .. written]
        : SkippedRows > 0 ? [written[0] + SkippedRows, .. written[1..]] : written;

    /// <summary>For each row in the checkpoint, its row in GGUF.</summary>
    public static long[] Inverse(long[] order)
    {
        var inverse = new long[order.Length];
        for (int i = 0; i < order.Length; i++) inverse[order[i]] = i;
        return inverse;
    }
}
