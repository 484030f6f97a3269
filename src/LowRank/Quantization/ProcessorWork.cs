using LowRank.Tensors.Kernels;

namespace LowRank.Quantization;

/// <summary>Splits work among the threads that torch computes with.</summary>
internal static class ProcessorWork
{
    private const long Least = 1 << 16;      // below so many values a second thread costs more than it saves
    private const int PartsPerThread = 4;    // threads that come late leave parts to the others

    /// <summary>Runs parts of [0, count), each begun at a multiple of the grain.</summary>
    /// <param name="count">How much there is.</param>
    /// <param name="grain">What a part's length is a multiple of, but of the last.</param>
    /// <param name="work">Values that are touched, to judge whether threads pay.</param>
    /// <param name="part">Takes where the part begins, and its length. Must not throw.</param>
    public static void Split(long count, long grain, long work, Action<long, long> part)
    {
        long pieces = work < Least || Workers.Count == 1 ? 1 : Math.Min((long)PartsPerThread * Workers.Count, (count + grain - 1) / grain);
        if (pieces <= 1)
        {
            part(0, count);
            return;
        }
        long length = ((count + pieces - 1) / pieces + grain - 1) / grain * grain;
        Workers.Run((int)((count + length - 1) / length), number => part(number * length, Math.Min(length, count - number * length)));
    }
}
