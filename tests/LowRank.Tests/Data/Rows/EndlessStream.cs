using System.Text;

namespace LowRank.Tests.Data.Rows;

/// <summary>A beginning, and then one byte again and again, up to a length that no test should come to.</summary>
internal sealed class EndlessStream(string begins, byte then, long most) : MemoryStream(Encoding.UTF8.GetBytes(begins))
{
    private long given;

    public override int Read(Span<byte> buffer)
    {
        int read = base.Read(buffer);
        if (read > 0) return read;
        int count = (int)Math.Min(buffer.Length, most - given);
        buffer[..count].Fill(then);
        given += count;
        return count;
    }
}
