using System.Globalization;
using LowRank.IO;
using TorchSharp;

namespace LowRank.Tests.IO;

/// <summary>Measures of the whole process: alone, after all other tests.</summary>
[Collection("alone")]
public sealed class TensorMemoryTests
{
    private const long Megabyte = 1 << 20;

    [Fact]
    public void Mapped_weights_take_no_private_memory()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var folder = new TemporaryFolder();
        const long bytes = 300 * Megabyte;
        SafeTensorsBytes.WriteSparse(folder["a"],
            $$$"""{"w":{"dtype":"F32","shape":[{{{bytes / 4}}}],"data_offsets":[0,{{{bytes}}}]}}""", bytes,
                [0, 0, 0x80, 0x3f]);
        using SafeTensorsFile file = SafeTensorsFile.Open(folder["a"]);
        using torch.Tensor weights = file.Map("w");
        long before = PrivateBytes();
        // Reads every page; a copy anywhere on the way would be seen.
        Assert.Equal(1f, weights.sum().item<float>());
        const long written = 32 * Megabyte;
        using (torch.Tensor part = weights.narrow(0, 0, written / 4))
            SafeTensorsWriter.Write(folder["b"], [new("w", part)]);
        long mapped = PrivateBytes() - before;
        using torch.Tensor copy = weights.clone();
        long copied = PrivateBytes() - before;

        Assert.InRange(mapped, -300 * Megabyte, 16 * Megabyte);
        // The measure itself sees what it should.
        Assert.True(copied > 280 * Megabyte, $"a copy of 300 MB was measured as {copied / Megabyte} MB");
        Assert.Equal(new FileInfo(folder["b"]).Length, written + 8 + BitConverter.ToInt32(FirstBytes(folder["b"])));
    }

    [Fact]
    public void A_tensor_beyond_2_GiB_is_written_in_chunks()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        const long count = (1L << 31) + 5;
        // Never written, so the system gives the process no memory for it: every page reads as the one page of zeros.
        torch.Tensor tensor = torch.empty(count, torch.ScalarType.Byte);
        tensor[count - 1] = torch.tensor((byte)7);
        long before = GC.GetTotalAllocatedBytes();
        using var stream = new LastBytesStream();
        SafeTensorsWriter.WriteData(stream, tensor);
        Assert.Equal(count, stream.Length);
        Assert.Equal(7, stream.Last);
        Assert.True(GC.GetTotalAllocatedBytes() - before < Megabyte);
    }

    private static byte[] FirstBytes(string path)
    {
        using FileStream stream = File.OpenRead(path);
        byte[] bytes = new byte[8];
        stream.ReadExactly(bytes);
        return bytes;
    }

    private static long PrivateBytes()
    {
        string line = File.ReadLines("/proc/self/status")
            .First(text => text.StartsWith("RssAnon:", StringComparison.Ordinal));
        return 1024 * long.Parse(
            line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }

    private sealed class LastBytesStream : Stream
    {
        private long length;

        public byte Last { get; private set; }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => length;

        public override long Position { get => length; set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            length += buffer.Length;
            Last = buffer[^1];
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
