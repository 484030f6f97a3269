namespace LowRank.Data.Rows;

/// <summary>What the header of a Parquet page says.</summary>
internal sealed class PageSizes
{
    /// <summary>Bytes of the header itself.</summary>
    public int Header { get; set; }

    /// <summary>Bytes as they are in the file.</summary>
    public long Compressed { get; private set; }

    /// <summary>Bytes once decompressed.</summary>
    public long Plain { get; private set; }

    /// <summary>Values, missing ones counted.</summary>
    public long Values { get; private set; }

    /// <summary>Whether other pages refer to it.</summary>
    public bool IsDictionary { get; private set; }

    /// <summary>Takes a number of the header.</summary>
    public void Take(string structure, int field, long value)
    {
        switch (structure, field)
        {
            case ("Page", 1): IsDictionary = value == 2; break;
            case ("Page", 2): Plain = value; break;
            case ("Page", 3): Compressed = value; break;
            case ("Data" or "Data2" or "Dictionary", 1): Values = value; break;
        }
    }
}
