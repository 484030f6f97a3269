using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Splits work among as many threads as torch computes with.</summary>
internal static class ProcessorWork
{
    private const long Least = 1 << 16; // below so many values a second thread costs more than it saves

    /// <summary>Runs parts of [0, count), each begun at a multiple of the grain.</summary>
    /// <param name="count">How much there is.</param>
    /// <param name="grain">What a part's length is a multiple of, but of the last.</param>
    /// <param name="work">Values that are touched, to judge whether threads pay.</param>
    /// <param name="part">Takes where the part begins, and its length.</param>
    public static void Split(long count, long grain, long work, Action<long, long> part)
    {
        long pieces = work < Least ? 1 : Math.Min(get_num_threads(), (count + grain - 1) / grain);
        if (pieces <= 1)
        {
            part(0, count);
            return;
        }
        long length = ((count + pieces - 1) / pieces + grain - 1) / grain * grain;
        Parallel.For(0L, (count + length - 1) / length, piece => part(piece * length, Math.Min(length, count - piece * length)));
    }
}
