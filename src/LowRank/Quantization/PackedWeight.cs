using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The frozen weight of a linear layer, [out, in], stored packed. It is expanded into shared memory while the
/// layer computes, in the forward and again in the backward pass; the graph keeps nothing of it.</summary>
public sealed unsafe class PackedWeight : IWeightMatrix, IDisposable
{
    private const int FewTokens = 8;         // for which memory is the limit, and bfloat16 gains nothing
    private const long ChunkValues = 8L << 20; // 32 MB: the buffer stays small beside a model whose layers are large

    private IFrozenMatrix frozen;
    private DeviceProducts? elsewhere; // null on the processor
    private readonly ExpansionBuffer buffer;
    private DenseMatrix? expanded; // while adapters are merged into it
    private int merges;

    internal PackedWeight(IPackedMatrix matrix, ExpansionBuffer buffer) => (frozen, this.buffer) = (matrix, buffer);

    private PackedWeight(IDeviceMatrix matrix, ExpansionBuffer buffer) =>
        (frozen, elsewhere, this.buffer) = (matrix, new DeviceProducts(matrix, buffer.Compute), buffer);

    /// <summary>A matrix of a format of your own (<see cref="WeightFormats.Register"/>). On a device other than the
    /// processor it is kept in float32.</summary>
    /// <param name="format">The format's name.</param>
    /// <param name="rows">Number of the layer's outputs.</param>
    /// <param name="columns">Number of the layer's inputs.</param>
    /// <param name="bytes">Size in bytes, including scales.</param>
    /// <param name="expand">Writes the values from an index on, row by row, as float32, as many as the span takes.
    /// Called by several threads at once.</param>
    /// <param name="buffer">The buffer that <see cref="IWeightFormat.Pack"/> was given.</param>
    /// <param name="owned">What holds the packed values; disposed of with the matrix.</param>
    public static PackedWeight Create(
        string format, long rows, long columns, long bytes, Action<long, Span<float>> expand, ExpansionBuffer buffer,
        IDisposable? owned = null) =>
        new(new RegisteredMatrix(format, rows, columns, bytes, expand, owned), buffer);

    /// <summary>A weight that is packed whenever it is expanded, and kept nowhere.</summary>
    internal static PackedWeight MadeWhenRead(
        string format, long rows, long columns, Func<PackedWeight> make, ExpansionBuffer buffer) =>
        new(new MatrixMadeWhenRead(format, rows, columns, make), buffer);

    /// <summary>The name of its format, such as nf4.</summary>
    public string Format => frozen.Format;

    /// <summary>Number of the layer's outputs.</summary>
    public long Rows => frozen.Rows;

    /// <summary>Number of the layer's inputs.</summary>
    public long Columns => frozen.Columns;

    /// <summary>The number of weights.</summary>
    public long ElementCount => Rows * Columns;

    /// <summary>Size in bytes, including scales.</summary>
    public long Bytes => frozen.Bytes;

    /// <summary>Whether the base keeps the weight in float32, and this is a rounded copy for products.</summary>
    internal bool IsWorkingCopy { get; set; }

    /// <summary>The embedding's float32 table that a tied head is a copy of, [out, in]; null for other weights. The
    /// embedding owns it.</summary>
    internal Tensor? Table { get; set; }

    /// <summary>Whether it is on a device other than the processor.</summary>
    internal bool IsOnDevice => elsewhere is not null;

    internal IPackedMatrix Matrix => (IPackedMatrix)frozen;

    /// <summary>The weights in float32, [out, in]: a new tensor in the caller's dispose scope.</summary>
    public Tensor Expand()
    {
        if (elsewhere is not null) return elsewhere.Expand();
        Tensor expanded = StepMemory.Empty(Rows, Columns);
        Expand(0, ElementCount, (float*)NativeTensor.Address(expanded));
        return expanded;
    }

    /// <summary>x·Wᵀ + b, differentiable in x and b.</summary>
    /// <param name="input">[…, in], float32</param>
    /// <param name="bias">[out], or null.</param>
    /// <returns>[…, out]</returns>
    public Tensor Linear(Tensor input, Tensor? bias = null) => LowRankLinear.Base(input, this, bias);

    long IWeightMatrix.Inputs => Columns;

    long IWeightMatrix.Outputs => Rows;

    bool IWeightMatrix.IsPacked => expanded is null;

    bool IWeightMatrix.TakesGradient => false;

    Tensor IWeightMatrix.Dense() => expanded?.Dense() ?? Table ?? Expand();

    Tensor IWeightMatrix.Plain(Tensor input, Tensor? bias) =>
        expanded?.Plain(input, bias) ?? buffer.Compute.Linear(input, Expand(), bias);

    Tensor IWeightMatrix.Product(Tensor input, Tensor? bias)
    {
        if (expanded is not null) return expanded.Product(input, bias);
        Tensor rows = input.reshape(-1, Columns);
        return (TakesHalves(input) ? StepProduct(rows, bias) : Product(rows, bias)).view([.. input.shape[..^1], Rows]);
    }

    Tensor IWeightMatrix.StepProduct(Tensor input, Tensor? bias)
    {
        if (expanded is not null) return expanded.StepProduct(input, bias);
        Tensor rows = input.reshape(-1, Columns);
        bool isSmall = buffer.Compute == ComputeType.Float32 && rows.shape[0] <= LinearProduct.StreamedRows;
        return (isSmall || IsOnDevice ? Product(rows, bias) : StepProduct(rows, bias))
            .view([.. input.shape[..^1], Rows]);
    }

    /// <summary>Whether products with many rows round their inputs to bfloat16.</summary>
    internal bool ComputesInHalves => buffer.Compute != ComputeType.Float32;

    // In bfloat16 only the tokens of a text, all of them together, are multiplied so: whether a product of libtorch's
    // depends on the number of its rows is not known, and a new token must not depend on the texts beside it.
    private bool TakesHalves(Tensor input) => buffer.Compute != ComputeType.Float32 && !IsOnDevice && input.dim() > 2
        && input.shape[^2] > FewTokens;

    Tensor IWeightMatrix.BackProduct(Tensor gradient) => expanded?.BackProduct(gradient) ?? BackProduct(gradient);

    void IWeightMatrix.Write(Tensor result, Tensor rows)
    {
        if (expanded is null) Write(result, rows);
        else expanded.Write(result, rows);
    }

    void IWeightMatrix.WriteBack(Tensor result, Tensor gradient)
    {
        if (expanded is null) WriteBack(result, gradient);
        else expanded.WriteBack(result, gradient);
    }

    /// <summary>Expands the weight until <see cref="EndMerge"/>, so that it can be changed in place; a copy of a table
    /// gives way to the table.</summary>
    internal void BeginMerge()
    {
        if (merges++ == 0) expanded = new DenseMatrix(Table ?? Expand().DetachFromDisposeScope());
    }

    /// <summary>Ends a <see cref="BeginMerge"/>; after the last one the weight is restored.</summary>
    internal void EndMerge()
    {
        if (--merges > 0) return;
        if (Table is null) expanded!.Stored.Dispose();
        expanded = null;
    }

    /// <summary>Packs the table again, whose values have changed for good; does nothing for other weights.</summary>
    internal void Refresh()
    {
        if (Table is null) return;
        PackedWeight fresh = WeightFormats.Get(Format)!.Pack(Table, buffer);
        if (IsOnDevice) fresh = fresh.MoveTo(Table.device);
        frozen.Dispose();
        (frozen, elsewhere) = (fresh.frozen, fresh.elsewhere);
    }

    /// <summary>x·Wᵀ + b without a graph. On a processor a row's result depends on no other row.</summary>
    /// <param name="input">[n, in]</param>
    /// <param name="bias">[out], or null.</param>
    /// <returns>[n, out], in the caller's dispose scope.</returns>
    public Tensor Product(Tensor input, Tensor? bias = null)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (elsewhere is not null) return elsewhere.Product(input, bias).MoveToOuterDisposeScope();
        Tensor dense = input.contiguous();
        if (dense.shape[0] == 0) return empty(0, Rows).MoveToOuterDisposeScope();
        Tensor result = Matrix.CanMultiply ? Direct(dense) : Expanded(dense);
        return (bias is null ? result : result.add_(bias, Number(1))).MoveToOuterDisposeScope();
    }

    // In the type of products, and in the fastest way.
    private Tensor StepProduct(Tensor input, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor result = StepMemory.Empty(input.shape[0], Rows);
        Write(result, input);
        return (bias is null ? result : result.add_(bias, Number(1))).MoveToOuterDisposeScope();
    }

    /// <summary>y·W without a graph: the gradient of the input for the output gradient y.</summary>
    /// <param name="gradient">[n, out]</param>
    /// <returns>[n, in], in the caller's dispose scope.</returns>
    public Tensor BackProduct(Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (elsewhere is not null) return elsewhere.BackProduct(gradient).MoveToOuterDisposeScope();
        Tensor result = StepMemory.Empty(gradient.shape[0], Columns);
        WriteBack(result, gradient);
        return result.MoveToOuterDisposeScope();
    }

    private void Write(Tensor result, Tensor rows)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (elsewhere is not null)
        {
            result.copy_(elsewhere.Product(rows, null));
            return;
        }
        ComputeType compute = buffer.Compute;
        Tensor prepared = compute.Prepare(rows.contiguous());
        EachChunk(compute.MatrixType() == ScalarType.BFloat16, (first, chunk) =>
            compute.Write(result.narrow(1, first, chunk.shape[0]), prepared, chunk.t()));
    }

    private void WriteBack(Tensor result, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (elsewhere is not null)
        {
            result.copy_(elsewhere.BackProduct(gradient));
            return;
        }
        ComputeType compute = buffer.Compute;
        Tensor prepared = compute.Prepare(gradient.contiguous());
        EachChunk(compute.MatrixType() == ScalarType.BFloat16, (first, chunk) =>
            compute.Write(result, prepared.narrow(1, first, chunk.shape[0]), chunk, adds: first > 0));
    }

    /// <summary>Its tensors in bitsandbytes' form.</summary>
    /// <param name="name">The weight's name in the checkpoint.</param>
    /// <param name="original">The original dtype, such as float32.</param>
    /// <exception cref="InvalidOperationException">The weight is on a device other than the processor.</exception>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original) => elsewhere is null
        ? Matrix.Stored(name, original)
        : throw new InvalidOperationException("Only weights in the processor's memory are stored.");

    /// <summary>Moves it to another device, where layers compute with it; this one is disposed of.</summary>
    internal PackedWeight MoveTo(Device device)
    {
        var moved = new PackedWeight(Matrix.CopyTo(device), buffer) { IsWorkingCopy = IsWorkingCopy, Table = Table };
        frozen.Dispose();
        return moved;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        frozen.Dispose();
        buffer.Dispose();
    }

    private Tensor Direct(Tensor input)
    {
        int count = (int)input.shape[0];
        Tensor result = empty(count, Rows), arranged = empty(PackedProduct.ArrangedSize(count, Columns));
        nint from = NativeTensor.Address(arranged), to = NativeTensor.Address(result);
        PackedProduct.Arrange(Matrix, (float*)NativeTensor.Address(input), count, (float*)from);
        ProcessorWork.Split(
            Rows, grain: 16, work: ElementCount, (first, rows) =>
            Matrix.Multiply((float*)from, count, (float*)to, first, rows));
        return result;
    }

    private Tensor Expanded(Tensor input)
    {
        Tensor result = empty(input.shape[0], Rows);
        EachChunk(inHalves: false, (first, chunk) => result.narrow(1, first, chunk.shape[0])
            .copy_(LinearProduct.TryLinear(input, chunk, transposed: false, bias: null)!));
        return result;
    }

    // As many rows at a time as fit in the buffer, in the type that products take; all that are stored in it.
    private void EachChunk(bool inHalves, Action<long, Tensor> use)
    {
        if (inHalves && frozen.Halves is { } whole)
        {
            use(0, whole);
            return;
        }
        long rows = Math.Min(Rows, Math.Max(1, ChunkValues / Columns)), most = rows * Columns;
        Tensor memory = buffer.Lend(inHalves ? (most + 1) / 2 : most, out float* address);
        try
        {
            for (long first = 0; first < Rows; first += rows)
            {
                using var scope = NewDisposeScope();
                long count = Math.Min(rows, Rows - first), values = count * Columns;
                if (inHalves) Round(first * Columns, values, (ushort*)address);
                else Expand(first * Columns, values, address);
                // The buffer outlives the chunk: nothing is released with it.
                use(first, inHalves
                    ? NativeTensor.Wrap((nint)address, &KeepMemory, [count, Columns], ScalarType.BFloat16)
                    : memory.narrow(0, 0, values).view(count, Columns));
            }
        }
        finally
        {
            buffer.Return();
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void KeepMemory(nint address)
    {
        // The buffer frees it.
    }

    // Expanded and rounded to bfloat16, a piece at a time in the first-level cache.
    private void Round(long first, long count, ushort* target)
    {
        const int Piece = 4096;
        nint to = (nint)target;
        ProcessorWork.Split(count, Piece, work: count, (start, length) =>
        {
            float* wide = stackalloc float[Piece];
            for (long at = start; at < start + length; at += Piece)
            {
                long some = Math.Min(Piece, start + length - at);
                Matrix.Expand(first + at, some, wide);
                BFloat16Matrix.Narrow(wide, some, (ushort*)to + at);
            }
        });
    }

    private void Expand(long first, long count, float* target)
    {
        nint to = (nint)target;
        ProcessorWork.Split(
            count, grain: 4096, work: count, (start, length) =>
            Matrix.Expand(first + start, length, (float*)to + start));
    }
}

/// <summary>A packed matrix in the processor's memory. Its methods are thread-safe.</summary>
internal unsafe interface IPackedMatrix : IFrozenMatrix
{
    /// <summary>Whether <see cref="Multiply"/> supports its shape.</summary>
    bool CanMultiply { get; }

    /// <summary>Writes values as float32.</summary>
    /// <param name="first">Index of the first value, row by row.</param>
    /// <param name="count">Number of values.</param>
    /// <param name="target">Receives the values.</param>
    void Expand(long first, long count, float* target);

    /// <summary>Puts 64 values of an input into the order in which they are multiplied with the matrix's.</summary>
    /// <param name="from">The values.</param>
    /// <param name="to">Receives them.</param>
    void Arrange(float* from, float* to) =>
        new ReadOnlySpan<float>(from, PackedProduct.Unit).CopyTo(new Span<float>(to, PackedProduct.Unit));

    /// <summary>Products of some of its rows with vectors, without expanding the matrix as a whole.</summary>
    /// <param name="inputs">The vectors, [count, columns], in the order of <see cref="PackedProduct.Arrange"/>.</param>
    /// <param name="count">Number of vectors.</param>
    /// <param name="outputs">[count, rows]; only the requested rows are written.</param>
    /// <param name="firstRow">The first row.</param>
    /// <param name="rows">Number of rows.</param>
    void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows);

    /// <summary>A copy on another device; the caller owns it.</summary>
    IDeviceMatrix CopyTo(Device device);

    /// <summary>Its tensors in bitsandbytes' form.</summary>
    /// <param name="name">The weight's name in the checkpoint.</param>
    /// <param name="original">The original dtype in torch's spelling, such as float32.</param>
    IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original);
}

/// <summary>A frozen matrix [rows, columns] stored in fewer bytes than float32.</summary>
internal interface IFrozenMatrix : IDisposable
{
    /// <summary>The name of its <see cref="IWeightFormat"/>.</summary>
    string Format { get; }

    /// <summary>Number of the layer's outputs.</summary>
    long Rows { get; }

    /// <summary>Number of the layer's inputs.</summary>
    long Columns { get; }

    /// <summary>Size in bytes, including scales.</summary>
    long Bytes { get; }

    /// <summary>Its values as a bfloat16 tensor, [rows, columns], if they are stored as one; otherwise null.</summary>
    Tensor? Halves => null;
}
