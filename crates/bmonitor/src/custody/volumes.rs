//! What custody keeps of a volume, in `TIER.EPOCH.NUMBER.volume`: its erase salt S, its header, and the path of tiers
//! and epochs whose secrets open it. Both go together, so that a volume that is wrapped anew opens before and after,
//! and at no time by two salts. The data key itself is in no file: it is unwrapped when the kernel is to have it.

use std::io;

use id::{Digester, Epoch, NodeId, TierId};
use keys::{DataKey, EraseSalt, Locked, Share, TierSecret};
use os::fscrypt::KEY_BYTES;
use zeroize::Zeroizing;

use super::forms::KeptVolume;
use super::forms::names::{volume_commitment_name, volume_file_name};
use super::messages::Path;
use super::store::names::volume_files;
use super::{Store, StoreError};
use crate::step::Step;

impl Store<'_> {
    /// What the kernel is to have of a volume; its salt and data key are made now if there are none.
    pub(super) fn volume_key(
        &self,
        node: NodeId,
        path: &Path,
        number: u64,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
        let data = match self.kept_volume(path, number)? {
            Some(kept) => self.with_shares(&kept.path, |shares| kept.locked.open(node, shares))?,
            None => {
                let drawn = Zeroizing::new(random().map_err(StoreError::Random)?);
                let data = DataKey::from_bytes(&drawn);
                self.put_volume(node, path.clone(), number, &data, &random)?;
                Ok(data)
            }
        };
        Ok(data.map_err(StoreError::NotUnwrapped)?.for_the_kernel())
    }

    /// *Keep*: wraps a volume's data key by the secrets of this path, under a new salt. One that is wrapped so stays
    /// as it is, and one that is not there needs not be kept.
    pub(super) fn rewrap_volume(
        &self,
        node: NodeId,
        path: &Path,
        number: u64,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let Some(kept) = self.kept_volume(path, number)? else { return Ok(()) };
        if kept.path == *path {
            return Ok(());
        }
        let data = self.with_shares(&kept.path, |shares| kept.locked.open(node, shares))?;
        self.put_volume(node, path.clone(), number, &data.map_err(StoreError::NotUnwrapped)?, random)
    }

    fn put_volume(
        &self,
        node: NodeId,
        path: Path,
        number: u64,
        data: &DataKey,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<(), StoreError> {
        let (tier, epoch) = *path.last().ok_or(StoreError::NoSecrets)?;
        let salt = Zeroizing::new(random().map_err(StoreError::Random)?);
        let commitment = Digester::new("leasehold volume commitment").part(tier.as_bytes());
        let commitment = commitment.part(&number.to_be_bytes()).part(salt.as_slice()).finish();
        let locked =
            self.with_shares(&path, |shares| Locked::new(node, shares, EraseSalt::from_bytes(&salt), data))?;
        let locked = locked.map_err(|_too_long| StoreError::NoSecrets)?;
        // The commitment first, as that of a tier's secrets.
        self.put(&volume_commitment_name(tier, epoch, number), commitment.to_string().as_bytes())?;
        let kept = KeptVolume { locked, path };
        self.put_sealed(&volume_file_name(tier, epoch, number), &kept.to_bytes(), random)?;
        self.steps.reach(Step::CustodyKept);
        Ok(())
    }

    /// The newest there is of a volume: between a renewal that keeps and the unlinking of what was before there may be
    /// two, of which the newer is whole.
    fn kept_volume(&self, path: &Path, number: u64) -> Result<Option<KeptVolume>, StoreError> {
        let tier = path.last().ok_or(StoreError::NoSecrets)?.0;
        let Some(name) = volume_files(&self.folder, tier, number)?.pop() else { return Ok(None) };
        let Some(bytes) = self.unsealed(&name)? else { return Ok(None) };
        let kept = KeptVolume::from_bytes(&bytes);
        let same =
            |kept: &KeptVolume| kept.path.iter().map(|(tier, _)| tier).eq(path.iter().map(|(tier, _)| tier));
        kept.filter(same).map(Some).ok_or(StoreError::Damaged { file: name })
    }

    fn with_shares<T>(&self, path: &Path, with: impl FnOnce(&[Share<'_>]) -> T) -> Result<T, StoreError> {
        let secret = |(tier, epoch): &(TierId, Epoch)| {
            let secrets = self.tier_secrets(*tier, *epoch)?.ok_or(StoreError::NoSecrets)?;
            secrets.share().try_into().map(TierSecret::from_bytes).map_err(|_length| StoreError::NoSecrets)
        };
        let secrets = path.iter().map(secret).collect::<Result<Vec<_>, _>>()?;
        let each = path.iter().zip(&secrets);
        let shares: Vec<_> =
            each.map(|((tier, epoch), secret)| Share { tier: *tier, epoch: *epoch, secret }).collect();
        Ok(with(&shares))
    }
}
