//! A matrix in a flat slice, and how a kernel writes its result.

/// A matrix in a flat row-major slice, read as stored or transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Reads `data` as `rows x columns`, row-major.
    ///
    /// # Panics
    /// If `data` does not have `rows * columns` entries.
    #[track_caller]
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(rows.checked_mul(columns), Some(data.len()), "data must hold a {rows} x {columns} matrix");
        Matrix { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// Returns the transpose without moving any data.
    pub fn t(self) -> Self {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Returns the slice if the matrix is read as stored.
    pub(crate) fn row_major(self) -> Option<&'a [f32]> {
        (self.column_stride == 1 && self.row_stride == self.columns).then_some(self.data)
    }

    #[inline(always)]
    pub(crate) fn entry(self, row: usize, column: usize) -> f32 {
        self.data[row * self.row_stride + column * self.column_stride]
    }

    /// Returns a pointer to an entry, which is valid if the matrix has that entry.
    #[inline(always)]
    pub(crate) fn place(self, row: usize, column: usize) -> *const f32 {
        self.data.as_ptr().wrapping_add(row * self.row_stride + column * self.column_stride)
    }

    pub(crate) fn row_range(self, first: usize, rows: usize) -> Self {
        Matrix { data: &self.data[(first * self.row_stride).min(self.data.len())..], rows, ..self }
    }

    pub(crate) fn column_range(self, first: usize, columns: usize) -> Self {
        self.t().row_range(first, columns).t()
    }
}

/// The way a kernel writes its result: it replaces the contents of the buffer or adds to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// y = value
    Replace,
    /// y += value
    Add,
}
